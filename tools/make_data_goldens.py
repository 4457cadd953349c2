#!/usr/bin/env python3
"""Write test/data/{bytes,pieces}/ (two small tokenizers) and test/data/rows_*.jsonl: rows of every kind
and what they are as tokens, with the tokens that carry loss when prompts are masked.

    python3 tools/make_data_goldens.py        # needs tokenizers, transformers

The expected ids are those of Hugging Face; which tokens are trained is read off their offsets, while
src/data finds it without offsets.
"""

import json
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

HERE = Path(__file__).resolve().parent.parent
OUT = HERE / "test" / "data"
# One template that writes every turn alike; one that drops the reasoning of earlier turns, as thinking
# models' do, and trims; one that puts the system message into the last question, as Mistral's do.
CHATML = ("{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
          "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")
THINKING = ("{{ bos_token }}{% for m in messages %}{% if m['role'] == 'assistant' %}"
            "{% if loop.last %}{% set c = m['content'] %}{% else %}{% set c = m['content'].split('</think>')[-1] %}{% endif %}"
            "{{ 'A: ' + c | trim + eos_token }}{% else %}{{ m['role'] + ': ' + m['content'] | trim + '\\n' }}{% endif %}{% endfor %}"
            "{% if add_generation_prompt %}{{ 'A: ' }}{% endif %}")
LAST_USER = ("{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set s = messages[0]['content'] %}{% set ms = messages[1:] %}"
             "{% else %}{% set s = '' %}{% set ms = messages %}{% endif %}{% for m in ms %}{% if m['role'] == 'user' %}"
             "{% if s and (loop.last or (loop.index0 == ms|length - 2)) %}{{ '[INST] ' + s + '\\n\\n' + m['content'] + ' [/INST]' }}{% else %}"
             "{{ '[INST] ' + m['content'] + ' [/INST]' }}{% endif %}{% else %}{{ ' ' + m['content'] + eos_token }}{% endif %}{% endfor %}")


def chatml_parts(messages):
    for m in messages:
        yield f"<|im_start|>{m['role']}\n", False
        yield m["content"] + "<|im_end|>\n", m["role"] == "assistant"


def thinking_parts(messages):
    yield "<s>", False
    for i, m in enumerate(messages):
        if m["role"] == "assistant":
            yield "A: ", False
            yield (m["content"] if i + 1 == len(messages) else m["content"].split("</think>")[-1]).strip() + "</s>", True
        else:
            yield f"{m['role']}: {m['content'].strip()}\n", False


def last_user_parts(messages):
    yield "<s>", False
    system = messages[0]["content"] if messages[0]["role"] == "system" else ""
    rest = messages[1:] if system else messages
    for i, m in enumerate(rest):
        if m["role"] == "user":
            last = i + 1 == len(rest) or i == len(rest) - 2
            yield f"[INST] {system}\n\n{m['content']} [/INST]" if system and last else f"[INST] {m['content']} [/INST]", False
        else:
            yield " ", i > 0  # with no question before it, there is no prompt that this would follow
            yield m["content"] + "</s>", True


PARTS = {CHATML: chatml_parts, THINKING: thinking_parts, LAST_USER: last_user_parts}
SPECIAL = ["<s>", "</s>", "<unk>", "<|im_start|>", "<|im_end|>"]


def corpus():
    for name in ("mode", "pois"):
        for line in open(HERE / "examples" / "travel" / f"{name}.jsonl", encoding="utf-8"):
            r = json.loads(line)
            yield f"### TASK: {r['task']}\n### INSTRUCTION:\n{r['instruction']}\n### CONTEXT:\n{r['context']}\n### RESPONSE:\n{r['response']}"
            yield f"\n### RESPONSE_JSON:\n{json.dumps(r['response_json'], indent=2)}"
            yield "\n\n### Instruction:\nthe trip\n\n### Response:\n"


def byte_tokenizer():
    """Byte-level BPE without BOS, as SmolLM2's."""
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    t.train_from_iterator(corpus(), trainers.BpeTrainer(vocab_size=520, special_tokens=SPECIAL, show_progress=False,
                                                        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return t, dict(eos_token="<|im_end|>", bos_token="<|im_start|>", chat_template=CHATML)


def piece_tokenizer(template):
    """SentencePiece-style BPE with byte fallback and BOS, as Llama 2's."""
    t = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    words = pre_tokenizers.Split("\n", "isolated")  # for training only: merges across newlines would be endless
    t.pre_tokenizer = words
    t.train_from_iterator(corpus(), trainers.BpeTrainer(vocab_size=700, show_progress=False, max_token_length=12, limit_alphabet=70,
                                                        special_tokens=SPECIAL + [f"<0x{b:02X}>" for b in range(256)]))
    spec = json.loads(t.to_str())
    spec["pre_tokenizer"] = None
    spec["added_tokens"] = [a for a in spec["added_tokens"] if a["content"] in SPECIAL]
    t = Tokenizer.from_str(json.dumps(spec))
    t.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", t.token_to_id("<s>"))])
    return t, dict(eos_token="</s>", bos_token="<s>", **({"chat_template": template} if template else {}))


TEXTS = ["plain text", "### TASK: t\n### INSTRUCTION:\ni\n### RESPONSE:\nthe trip", "### RESPONSE:\n", "### RESPONSE:\n\n\nthe tram",
         "### RESPONSE:\n  indented", "### RESPONSE:\n東京 and São Paulo\n### RESPONSE_JSON:\n{\n  \"a\": 1\n}", "x### RESPONSE:\n\u00e9", "a",
         "### RESPONSE:\na ### RESPONSE:\nb", "😀### RESPONSE:\n😀", "the <|im_end|> in ### RESPONSE:\n<|im_end|>\nthere", "### RESPONSE:\nends<|im_end|>",
         "ends</s>", "### RESPONSE:\n\u0000nul\u0000"]
PAIRS = [("", "x"), ("the", "re is"), ("Take the ", "tram"), ("Take the", " tram"), ("a\n", "\nb"), ("q", ""), ("東", "京"), ("### ", "RESPONSE:\n"),
         ("metro: ", "12.2 km is"), ("two  ", "  spaces"), ("e", "\u0301"), ("x\n\n", "\n\ny"), ("the t", "rain"), ("  ", "  x")]
CHATS = [[("user", "hi"), ("assistant", "hello")],
         [("system", "be brief"), ("user", "the tram?"), ("assistant", "yes"), ("user", "and rain?"), ("assistant", "take the bus\n\n")],
         [("user", "only a question")], [("assistant", "first"), ("user", "then")],
         [("user", "a"), ("assistant", "<think>why</think>b"), ("user", "c"), ("assistant", "<think>how</think>d")],
         [("user", "東京?"), ("assistant", " São Paulo ")], [("user", ""), ("assistant", "")], [("user", "x"), ("assistant", "1"), ("assistant", "2")]]


def rows():
    for t in TEXTS:
        yield {"text": t}
    yield {"task": "t", "instruction": "i", "context": "c", "response": "the tram", "response_json": {"mode": "tram", "city": "Zürich"}}
    yield {"instruction": "i", "output": "the bus", "input": "n"}
    for p, c in PAIRS:
        yield {"prompt": p, "completion": c}
    for chat in CHATS:
        yield {"messages": [{"role": r, "content": c} for r, c in chat]}


def as_text(row):
    """(text, spans of responses in characters, prompt, expected, templated messages or None)"""
    if "task" in row:
        row = {"text": f"### TASK: {row['task']}\n### INSTRUCTION:\n{row['instruction']}\n### CONTEXT:\n{row['context']}\n### RESPONSE:\n{row['response']}"
                       f"\n### RESPONSE_JSON:\n{json.dumps(row['response_json'], indent=2)}"}
    if "output" in row:
        head = ("Below is an instruction that describes a task, paired with an input that provides further context. Write a response that appropriately "
                f"completes the request.\n\n### Instruction:\n{row['instruction']}\n\n### Input:\n{row['input']}\n\n### Response:\n")
        return head + row["output"], [(len(head), None)], head, row["output"]
    text = row["text"]
    at = text.find("### RESPONSE:\n")
    if at < 0:
        return text, [], None, None
    at += len("### RESPONSE:\n")
    return text, [(at, None)], text[:at], text[at:]


def as_chat(hf, messages):
    """The parts that the template writes, put together by hand; transformers must agree on the whole."""
    full, spans, prompt, expected = "", [], None, None
    for part, answer in PARTS[hf.chat_template](messages):
        if answer:
            spans.append((len(full), len(full) + len(part)))
        full += part
    assert full == hf.apply_chat_template(messages, tokenize=False), (full, messages)
    if messages[-1]["role"] == "assistant":
        expected = messages[-1]["content"]
        prompt = hf.apply_chat_template(messages[:-1], tokenize=False, add_generation_prompt=True) if messages[:-1] else full[:spans[-1][0]]
    return full, spans, prompt, expected


def expect(tok, config, hf, row):
    templated = "messages" in row or ("prompt" in row and "chat_template" in config)
    if "messages" in row:
        text, spans, prompt, expected = as_chat(hf, row["messages"])
    elif templated:
        text, spans, prompt, expected = as_chat(hf, [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": row["completion"]}])
    elif "prompt" in row:
        prompt, expected = row["prompt"], row["completion"]
        text, spans = prompt + expected, [(len(prompt), None)]
    else:
        text, spans, prompt, expected = as_text(row)
    e = tok.encode(text, add_special_tokens=not templated)
    ids, offsets = list(e.ids), list(e.offsets)
    lead = e.special_tokens_mask.index(0) if not templated and 0 in e.special_tokens_mask else len(ids) if not templated and ids else 0
    lead = min(lead, 1 if not templated and tok.encode("a").ids[0] == tok.token_to_id("<s>") else 0)
    eos = tok.token_to_id(config["eos_token"])
    if not templated and (not ids or ids[-1] != eos):
        ids.append(eos)
        offsets.append((len(text), len(text)))
    trained = [0] * len(ids)
    for begin, end in spans:
        for i, (a, b) in enumerate(offsets):
            inside = a >= begin or b > begin  # a token across the start is trained
            if end is not None:
                inside = inside and a < end
            if i >= lead and inside:
                trained[i] = 1
    if ids:
        trained[0] = 0
    return dict(ids=ids, trained=trained, text=text, prompt=prompt, expected=expected)


def main():
    with open(OUT / "rows_in.jsonl", "w", encoding="utf-8") as f:
        for row in rows():
            f.write(json.dumps(row, ensure_ascii=False) + "\n")
    for name, (tok, config) in dict(bytes=byte_tokenizer(), pieces=piece_tokenizer(None), thinking=piece_tokenizer(THINKING), last_user=piece_tokenizer(LAST_USER)).items():
        folder = OUT / name
        folder.mkdir(exist_ok=True)
        tok.save(str(folder / "tokenizer.json"), pretty=False)
        (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n")
        hf = PreTrainedTokenizerFast(tokenizer_object=tok, bos_token=config["bos_token"], eos_token=config["eos_token"],
                                     chat_template=config.get("chat_template"))
        with open(OUT / f"rows_{name}.jsonl", "w", encoding="utf-8") as f:
            for row in rows():
                if "messages" in row and "chat_template" not in config:
                    f.write("null\n")  # refused
                    continue
                f.write(json.dumps(expect(tok, config, hf, row)) + "\n")


if __name__ == "__main__":
    main()
