"""A Hugging Face folder for a model that starts from random weights.

It holds everything of a released checkpoint but the weights: config, tokenizer, chat template,
processor and generation config. Training with random initialisation, small experiments and tests
begin here.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AddedToken, GenerationConfig, Qwen2Tokenizer, Qwen3VLConfig
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
VISION_START, VISION_END = "<|vision_start|>", "<|vision_end|>"
IMAGE, VIDEO = "<|image_pad|>", "<|video_pad|>"
SPECIAL_TOKENS = (END_OF_TEXT, TURN_START, TURN_END, VISION_START, VISION_END, IMAGE, VIDEO)

# Qwen's conversation format for text and images; tools and videos are left out.
CHAT_TEMPLATE = """\
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' }}
    {%- if message.content is string %}
        {{- message.content }}
    {%- else %}
        {%- for part in message.content %}
            {%- if part.type == 'image' %}
                {{- '<|vision_start|><|image_pad|><|vision_end|>' }}
            {%- elif 'text' in part %}
                {{- part.text }}
            {%- endif %}
        {%- endfor %}
    {%- endif %}
    {{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""


def write_scratch_folder(
    folder: str | Path,
    text: dict[str, Any],
    vision: dict[str, Any],
    corpus: Iterable[str],
    *,
    vocab_size: int = 512,
    phrases: Sequence[str] = (),
    tie_word_embeddings: bool = True,
    min_pixels: int = 32 * 32,
    max_pixels: int = 4096 * 4096,
) -> Path:
    """Writes the folder.

    Args:
        folder: where to; made if needed.
        text: `text_config` of `config.json`; without a `vocab_size` it gets the tokenizer's.
        vision: `vision_config` of `config.json`.
        corpus: texts on which the byte-level BPE is trained.
        vocab_size: entries of the BPE, at least 256; special tokens and phrases come on top.
        phrases: texts that become one token each.
        tie_word_embeddings: whether the head shares the token embedding.
        min_pixels: images below this area are enlarged.
        max_pixels: images above this area are reduced.

    Returns:
        The folder.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _train_tokenizer(corpus, vocab_size, phrases)
    tokenizer.save_pretrained(folder)
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS}

    config = Qwen3VLConfig(
        text_config={"vocab_size": _round_up(len(tokenizer), 64), **text},
        vision_config=vision,
        image_token_id=ids[IMAGE],
        video_token_id=ids[VIDEO],
        vision_start_token_id=ids[VISION_START],
        vision_end_token_id=ids[VISION_END],
        tie_word_embeddings=tie_word_embeddings,
        architectures=["Qwen3VLForConditionalGeneration"],
    )
    config.save_pretrained(folder)
    GenerationConfig(
        do_sample=False,
        eos_token_id=[ids[TURN_END], ids[END_OF_TEXT]],
        pad_token_id=ids[END_OF_TEXT],
    ).save_pretrained(folder)
    for name, kind in (
        ("preprocessor_config.json", {"image_processor_type": "Qwen2VLImageProcessorFast"}),
        ("video_preprocessor_config.json", {"video_processor_type": "Qwen3VLVideoProcessor"}),
    ):
        processor = {
            **kind,
            "processor_class": "Qwen3VLProcessor",
            "size": {"shortest_edge": min_pixels, "longest_edge": max_pixels},
            "patch_size": config.vision_config.patch_size,
            "temporal_patch_size": config.vision_config.temporal_patch_size,
            "merge_size": config.vision_config.spatial_merge_size,
            "image_mean": [0.5, 0.5, 0.5],
            "image_std": [0.5, 0.5, 0.5],
        }
        (folder / name).write_text(json.dumps(processor, indent=2) + "\n")
    return folder


def _train_tokenizer(
    corpus: Iterable[str], vocab_size: int, phrases: Sequence[str]
) -> Qwen2Tokenizer:
    """Byte-level BPE with Qwen's splitting (every digit is one token) and special tokens."""
    bpe = Tokenizer(models.BPE())
    bpe.normalizer = normalizers.NFC()
    bpe.decoder = decoders.ByteLevel()
    splits = (
        pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    )
    bpe.pre_tokenizer = pre_tokenizers.Sequence(list(splits))
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(corpus, trainer)
    learned = json.loads(bpe.to_str())["model"]
    tokenizer = Qwen2Tokenizer(
        vocab=learned["vocab"],
        merges=[tuple(pair) for pair in learned["merges"]],
        eos_token=TURN_END,
        pad_token=END_OF_TEXT,
        chat_template=CHAT_TEMPLATE,
        extra_special_tokens=[*SPECIAL_TOKENS[3:], TURN_START],
    )
    tokenizer.add_tokens([AddedToken(phrase, normalized=False) for phrase in phrases])
    return tokenizer


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
