"""The reference learner: a small causal model that has learned to learn in context, from worlds it is never tested on."""
