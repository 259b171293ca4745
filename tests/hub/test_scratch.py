from transformers import AutoTokenizer

from tests.tiny import CORPUS, TEXT, VISION
from vlm3_jax.hub.scratch import SPECIAL_TOKENS, write_scratch_folder


def test_tokenizer_of_a_scratch_folder(tmp_path):
    phrase = "how far is the point at coordinates ("
    folder = write_scratch_folder(
        tmp_path, TEXT, VISION, CORPUS, vocab_size=300, phrases=[phrase, "bounding box"]
    )
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for token in (*SPECIAL_TOKENS, phrase):
        assert len(tokenizer.encode(token)) == 1
    assert [tokenizer.decode(t) for t in tokenizer.encode("1984")] == list("1984")
    text = f"naïve 你好 🙂 {phrase}12, 34)\n\n<answer> 1.50 </answer>"
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_the_chat_template_renders_turns_and_images(tmp_path):
    folder = write_scratch_folder(tmp_path, TEXT, VISION, CORPUS, vocab_size=300)
    rendered = AutoTokenizer.from_pretrained(folder).apply_chat_template(
        [
            {"role": "system", "content": "Be exact."},
            {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "How far?"}]},
        ],
        tokenize=False,
        add_generation_prompt=True,
    )
    assert rendered == (
        "<|im_start|>system\nBe exact.<|im_end|>\n"
        "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>How far?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
