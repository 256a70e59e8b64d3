"""`icl-hf`: lm-eval's `hf`, which computes what prompts begin with once. It gives the same answers.

    icl_hf             the model that lm-eval calls: from requests to a tree, and from there to answers
    generation         its other half: generating from a cache that prompts share
    shared_tokens      tokens of texts that begin alike, tokenised once
    prefix_tree        what sequences of tokens begin with, as a tree
    ways               which way to compute a tree works for a model: chosen by configuration, checked against a plain pass
    runs               what both ways share: memory, halving, progress
    packing            many questions in one sequence behind the context, for models of attention alone
    expanding          many rows behind the context, for models that carry a state along the sequence
    forward            calls of the model
    context_cache      key-value caches that are filled once and continued many times
    shared_attention   attention of many rows to keys that they share

Importing it registers `icl-hf` with lm-eval. It needs the extra `hf`.
"""

from icl_bench.scoring.icl_hf import ICLHF

__all__ = ["ICLHF"]
