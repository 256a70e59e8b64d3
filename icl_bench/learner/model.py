"""The model: short convolutions and attention in turn, about a million parameters.

At this size a convolution before every attention finds what stood before the same word far sooner than attention alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from icl_bench.learner.tokenizer import WINDOW

if TYPE_CHECKING:
    from transformers import Lfm2ForCausalLM, PreTrainedTokenizerFast

HIDDEN, LAYERS, HEADS = 128, 6, 4


def make_model(tokenizer: PreTrainedTokenizerFast, seed: int) -> Lfm2ForCausalLM:
    """An untrained model for the ids of the tokenizer; equal seeds give equal weights."""
    from transformers import Lfm2Config, Lfm2ForCausalLM

    torch.manual_seed(seed)
    return Lfm2ForCausalLM(
        Lfm2Config(
            vocab_size=len(tokenizer),
            hidden_size=HIDDEN,
            intermediate_size=2 * HIDDEN,
            num_hidden_layers=LAYERS,
            num_attention_heads=HEADS,
            num_key_value_heads=HEADS,
            layer_types=["conv", "full_attention"] * (LAYERS // 2),
            conv_L_cache=4,
            block_auto_adjust_ff_dim=False,
            tie_word_embeddings=True,
            max_position_embeddings=WINDOW,
            rope_parameters={"rope_type": "default", "rope_theta": 1e6},
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
        )
    )
