import json
import pickle
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.decoding.reference import Processor
from tests.tiny import textured_image
from vlm3_jax.data.chat import Sample, Turn
from vlm3_jax.data.encoder import Encoder
from vlm3_jax.errors import BadInput

# Like templates of thinking models: earlier answers lose their thoughts. System turns are refused.
FORGETFUL_TEMPLATE = """\
{%- for message in messages %}
    {%- if message.role == 'user' %}
        {{- '<|im_start|>user\\n' }}
        {%- for part in message.content %}
            {%- if part.type == 'image' %}
                {{- '<|vision_start|><|image_pad|><|vision_end|>' }}
            {%- else %}
                {{- part.text }}
            {%- endif %}
        {%- endfor %}
    {%- elif message.role == 'assistant' %}
        {{- '<|im_start|>assistant\\n' }}
        {%- set text = message.content[0].text %}
        {%- if loop.last %}{{- text }}{%- else %}{{- text.split('</think>')[-1] }}{%- endif %}
    {%- else %}
        {{- raise_exception('no role ' + message.role) }}
    {%- endif %}
    {{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
"""
TEXTS = [
    "How far is the point at (16, 1061)?",
    " <think> The point is around 2.35 meters away. </think>\n\n<answer> 2.35 </answer>",
    "Übergrößenträger, naïve café: 深度是多少? 🙂‍↔️ e\u0301",
    "",
    "  two  spaces,\ttabs\n\nand lines\n",
    "<image> <|not_special|> {{ jinja }} {% raw %}",
]
SIZES = [(64, 64), (96, 160), (200, 48), (33, 77)]


def copy_without_weights(source, folder):
    return shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.safetensors"))


@pytest.fixture
def forgetful(tiny_hf, tmp_path) -> Encoder:
    """A checkpoint whose template leaves the thoughts of earlier answers out."""
    folder = copy_without_weights(tiny_hf, tmp_path / "forgetful")
    (folder / "chat_template.jinja").write_text(FORGETFUL_TEMPLATE)
    return Encoder.from_folder(folder)


def make_sample(seed: int) -> Sample:
    """One of 30 conversations: 0 to 2 images, 1 to 4 turns, with and without a system turn."""
    rng = np.random.default_rng(seed)
    sizes = [SIZES[i] for i in rng.integers(len(SIZES), size=seed % 3)]
    images = tuple(textured_image(rng, height, width) for width, height in sizes)
    texts = [TEXTS[i] for i in rng.integers(len(TEXTS), size=8)]
    turns = [Turn(texts[2 * i], texts[2 * i + 1].lstrip()) for i in range(1 + seed // 3 % 4)]
    system = [None, "You are a helpful assistant.", "深度 \n"][seed // 2 % 3]
    return Sample(images, tuple(turns), f"sample/{seed}", system)


def question(image: np.ndarray, *pairs: tuple[str, str]) -> Sample:
    return Sample((image,), tuple(Turn(*pair) for pair in pairs), "room/7")


@pytest.fixture
def ten_questions(rng) -> Sample:
    image = textured_image(rng, 96, 128)
    pairs = [(f"How far is ({7 * i}, {i})?", f"It is {i}.{i} metres.") for i in range(10)]
    return question(image, *pairs)


def reference_inputs(folder, sample: Sample, generation_prompt: bool) -> dict:
    """What transformers' processor makes of a conversation."""
    messages = sample.messages(len(sample.turns), last_answer=not generation_prompt)
    images = [Image.fromarray(image) for image in sample.images]
    processor = Processor.of(folder)
    text = processor.apply_chat_template(messages, add_generation_prompt=generation_prompt)
    return processor(text=text, images=images or None, return_tensors="pt")


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("generation_prompt", [False, True])
def test_tokens_patches_and_positions_equal_those_of_transformers(
    seed, generation_prompt, encoder, tiny_hf
):
    sample = make_sample(seed)
    expected = reference_inputs(tiny_hf, sample, generation_prompt)
    encoded = encoder.encode_prompt(sample) if generation_prompt else encoder.encode(sample)
    assert encoded.text.tokens.tolist() == expected["input_ids"][0].tolist()
    visual = encoded.text.visual_index
    assert (visual >= 0).tolist() == (expected["mm_token_type_ids"][0] == 1).tolist()
    merged = len(encoded.images.patches) // 4
    assert visual[visual >= 0].tolist() == list(range(merged))
    if not sample.images:
        assert encoded.images.patches.shape == (0, 3 * 16 * 16)
        return
    grids = expected["image_grid_thw"]
    patches = expected["pixel_values"].reshape(-1, 3, 2, 256)[:, :, 0].reshape(-1, 768)
    levels = (patches.numpy() * 0.5 + 0.5) * 255
    assert np.abs(levels - encoded.images.patches).max() < 0.01
    counts = grids.prod(-1).tolist()
    numbers = np.repeat(np.arange(1, len(counts) + 1), counts)
    assert encoded.images.segment_ids.tolist() == numbers.tolist()


def answers_by_loss(encoder: Encoder, encoded) -> list[str]:
    """The runs of targets that carry loss, as text with special tokens."""
    weights = encoded.loss_weights
    assert set(np.unique(weights)) <= {0.0, 1.0}
    edges = np.flatnonzero(np.diff(np.concatenate([[0], weights, [0]])))
    runs = [encoded.targets[a:b] for a, b in edges.reshape(-1, 2)]
    return [encoder.tokenizer.decode(run) for run in runs]


@pytest.mark.parametrize("seed", range(30))
def test_loss_is_on_the_answers_and_what_closes_them(seed, encoder):
    sample = make_sample(seed)
    encoded = encoder.encode(sample)
    composed = encoder.tokenizer.backend_tokenizer.normalizer.normalize_str
    assert answers_by_loss(encoder, encoded) == [
        composed(turn.answer) + "<|im_end|>" for turn in sample.turns
    ]
    used = encoded.loss_weights > 0
    assert not used[-1]
    assert encoded.targets[:-1].tolist() == encoded.text.tokens[1:].tolist()
    assert (encoded.text.segment_ids == 1).all() and (encoded.text.question_ids == 0).all()


@pytest.mark.parametrize("count", [1, 2, 10])
def test_independent_questions_are_what_each_is_alone(count, encoder, ten_questions):
    sample = replace(ten_questions, turns=ten_questions.turns[:count], system="Be brief.")
    packed = encoder.encode(sample, "independent")
    shared = packed.text.question_ids == 0
    assert packed.text.question_ids.max() == count
    for number in range(1, count + 1):
        alone = encoder.encode(sample.alone(number - 1))
        mine = shared | (packed.text.question_ids == number)
        for name in ("tokens", "positions", "visual_index", "segment_ids"):
            array, expected = getattr(packed.text, name)[mine], getattr(alone.text, name)
            np.testing.assert_array_equal(array, expected, err_msg=name)
        np.testing.assert_array_equal(packed.loss_weights[mine], alone.loss_weights)
        used = alone.loss_weights > 0
        np.testing.assert_array_equal(packed.targets[mine][used], alone.targets[used])
        for array, expected in zip(packed.images, alone.images, strict=True):
            np.testing.assert_array_equal(array, expected)
    assert answers_by_loss(encoder, packed) == [
        f"It is {i}.{i} metres.<|im_end|>" for i in range(count)
    ]


def test_independent_questions_share_all_they_can(encoder, ten_questions):
    shared = encoder.encode(ten_questions, "independent").text.question_ids == 0
    common = encoder.encode_prompt(question(ten_questions.images[0], ("How far is (", None)))
    # Of the prompt's end, "<|im_end|>" and the assistant's beginning are not shared.
    tail = len(encoder.tokenizer("<|im_end|>\n<|im_start|>assistant\n").input_ids)
    assert shared.sum() >= len(common.text.tokens) - tail - 1


def test_the_same_question_with_two_answers_keeps_both(encoder, ten_questions):
    sample = question(ten_questions.images[0], ("How far?", "1.0 m"), ("How far?", "1.5 m"))
    packed = encoder.encode(sample, "independent")
    assert answers_by_loss(encoder, packed) == ["1.0 m<|im_end|>", "1.5 m<|im_end|>"]
    assert (packed.loss_weights[packed.text.question_ids == 0] == 0).all()


def test_prompts_are_what_each_turn_is_alone(encoder, ten_questions):
    prompts = encoder.encode_prompts(ten_questions)
    assert len(prompts) == 10
    for i, prompt in enumerate(prompts):
        alone = encoder.encode_prompt(ten_questions.alone(i))
        for array, expected in zip(prompt.text, alone.text, strict=True):
            np.testing.assert_array_equal(array, expected)
        assert prompt.images.patches is prompts[0].images.patches
        assert (prompt.loss_weights == 0).all()
        assert encoder.decode(prompt.text.tokens[-4:]) != ""


def test_a_prompt_is_the_beginning_of_the_answered_conversation(encoder, ten_questions):
    whole = encoder.encode(ten_questions)
    prompt = encoder.encode_prompt(ten_questions)
    length = len(prompt.text.tokens)
    np.testing.assert_array_equal(prompt.text.tokens, whole.text.tokens[:length])
    assert whole.loss_weights[length - 1] == 1  # Its last token predicts the answer's first.


def test_missing_answers_are_refused(encoder, ten_questions):
    first, second = (replace(turn, answer=None) for turn in ten_questions.turns[:2])
    sample = replace(ten_questions, turns=(first, second))
    for encode in (encoder.encode, encoder.encode_prompt):
        with pytest.raises(ValueError, match="room/7 has a turn without an answer"):
            encode(sample)


def test_decoding_leaves_special_tokens_out(encoder):
    text = "<think> 2.35 深度 </think>"
    tokens = encoder.tokenizer(text + "<|im_end|>").input_ids
    assert encoder.decode(tokens) == text


@pytest.mark.parametrize(
    "token", ["<|image_pad|>", "<|im_end|>", "<|vision_start|>", "<|im_start|>", "<|endoftext|>"]
)
@pytest.mark.parametrize("place", ["prompt", "answer", "system"])
def test_special_tokens_in_a_text_are_refused(token, place, encoder, ten_questions):
    text = f"look{token}here"
    if place == "system":
        sample = replace(ten_questions, system=text)
    else:
        sample = replace(ten_questions, turns=(replace(ten_questions.turns[0], **{place: text}),))
    message = rf"room/7: a text contains {token.replace('|', chr(92) + '|')}"
    for encode in (encoder.encode, lambda s: encoder.encode(s, "independent")):
        with pytest.raises(BadInput, match=message):
            encode(sample)
    if place != "answer":
        with pytest.raises(BadInput, match=message):
            encoder.encode_prompt(sample)


def test_a_template_that_rewrites_earlier_answers_is_refused(forgetful, ten_questions):
    image = ten_questions.images[0]
    thought = question(image, ("a", "<think> x </think> 1"), ("b", "<think> y </think> 2"))
    with pytest.raises(BadInput, match="room/7: the checkpoint's chat template does not render"):
        forgetful.encode(thought)
    # Where nothing is rewritten it serves.
    assert answers_by_loss(forgetful, forgetful.encode(thought, "independent")) == [
        "<think> x </think> 1<|im_end|>",
        "<think> y </think> 2<|im_end|>",
    ]
    assert len(answers_by_loss(forgetful, forgetful.encode(ten_questions))) == 10


def test_an_answer_that_merges_with_its_prompt_is_refused(tiny_hf, tmp_path, ten_questions):
    folder = copy_without_weights(tiny_hf, tmp_path / "merging")
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    newline = "\u010a"  # How byte-level BPE writes a line end.
    tokenizer["model"]["merges"].append([newline, newline])
    tokenizer["model"]["vocab"][newline * 2] = max(tokenizer["model"]["vocab"].values()) + 1000
    path.write_text(json.dumps(tokenizer))
    encoder = Encoder.from_folder(folder)
    sample = question(ten_questions.images[0], ("How far?", "\n1.0 m"))
    with pytest.raises(BadInput, match="no answer begins with white space"):
        encoder.encode(sample)


def test_a_template_that_refuses_is_named(forgetful, ten_questions):
    with pytest.raises(BadInput, match=r"room/7: .* refuses the conversation: no role system"):
        forgetful.encode(replace(ten_questions, system="Be brief."))


def test_a_template_without_images_is_refused(tiny_hf, tmp_path, ten_questions):
    folder = copy_without_weights(tiny_hf, tmp_path / "blind")
    path = folder / "chat_template.jinja"
    path.write_text(path.read_text().replace("<|image_pad|>", ""))
    with pytest.raises(BadInput, match="0 image placeholders for 1 images"):
        Encoder.from_folder(folder).encode(ten_questions)


def test_the_template_file_of_older_checkpoints_is_read(tiny_hf, tmp_path, encoder, ten_questions):
    folder = copy_without_weights(tiny_hf, tmp_path / "older")
    template = (folder / "chat_template.jinja").read_text()
    (folder / "chat_template.jinja").unlink()
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": template}))
    older = Encoder.from_folder(folder).encode(ten_questions)
    np.testing.assert_array_equal(older.text.tokens, encoder.encode(ten_questions).text.tokens)


def test_missing_files_are_named(tiny_hf, tmp_path):
    for name, message in (
        ("tokenizer.json", "its tokenizer has no special token"),
        ("chat_template.jinja", "no chat template"),
        ("preprocessor_config.json", r"preprocessor_config\.json"),
        ("config.json", r"config\.json"),
    ):
        folder = copy_without_weights(tiny_hf, tmp_path / name)
        (folder / name).unlink()
        with pytest.raises(BadInput, match=message):
            Encoder.from_folder(folder)
    (folder / "config.json").write_text((tiny_hf / "config.json").read_text())
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(BadInput, match="no readable tokenizer"):
        Encoder.from_folder(folder)


def test_an_image_that_cannot_be_resized_is_named(encoder):
    image = np.zeros((2, 600, 3), np.uint8)
    with pytest.raises(BadInput, match="image 1 of room/7 is 600x2"):
        encoder.encode(question(image, ("a", "b")))


def test_worker_processes_get_the_same_encoder(encoder, ten_questions):
    copy = pickle.loads(pickle.dumps(encoder))
    for array, expected in zip(
        copy.encode(ten_questions).text, encoder.encode(ten_questions).text, strict=True
    ):
        np.testing.assert_array_equal(array, expected)
