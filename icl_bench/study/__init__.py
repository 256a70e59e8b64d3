"""`icl-bench study`: the protocol on a causal model of transformers, from worlds to a report.

    command      the command line of both
    settings     what a study is: defaults.yaml, a file of the user's, options
    plan         tokens, memory and time of each cell, beforehand
    cells        one (dataset, condition, seed): its folder, and when it is finished
    protocol     which cells there are, and what the model reads in each
    worlds       the tables of a cell: generated, and augmented
    model        the model, its tokenizer, its window, its hash
    window       documents and questions against the window, before anything is trained
    training     fine-tuning by TRL's SFTTrainer, which goes on where it was killed
    scoring      all questions of a dataset, by lm-eval and `icl-hf`
    run          all cells, and what is written of them
    progress     which cell runs, how many remain, how long that will take
    failures     no memory, no disk: in one line
    statistics   standard errors, and tests on the same questions
    results      results.json
    report       report.md, and several studies side by side
    figures      accuracy by kind of question and condition, over documents, hops and steps

It needs the extra `study`.
"""
