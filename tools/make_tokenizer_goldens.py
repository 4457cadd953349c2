#!/usr/bin/env python3
"""Tokenizer goldens, and the wide comparison with the libraries.

    python tools/make_tokenizer_goldens.py [--retrain]      writes test/text/tokenizers/ (training
                                                            is not repeatable: tokenizers that are
                                                            there are kept, vectors made anew)
    python tools/make_tokenizer_goldens.py --check BUILD    compares BUILD's tokenizer with the
                                                            libraries on everything found here
        [--only WORD]   only tokenizers whose name holds WORD
        [--full]        every code point instead of every 97th
        [--gguf FILE]   one more GGUF, against llama.cpp and (with --json FILE) tokenizer.json

Needs tokenizers, sentencepiece, protobuf, gguf; for more comparisons, where they are installed:
llama-cpp-python, mistral-common (its models), transformers, tiktoken and the vocabularies that the
litellm package carries (--litellm DIRECTORY).
"""
import argparse
import json
import os
import pathlib
import random
import struct
import subprocess
import sys
import tempfile

import sentencepiece
import tokenizers
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers,
                        pre_tokenizers, processors, trainers)

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "test" / "text" / "tokenizers"
CPS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]

CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
SIGNS = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + SIGNS
QWEN2 = CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + SIGNS
CL100K = (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
          r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s")
UP, LOW = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
GPT4O = (r"[^\r\n\p{L}\p{N}]?" + UP + "*" + LOW + "+" + CONTRACTION + "?|" + r"[^\r\n\p{L}\p{N}]?" + UP
         + "+" + LOW + "*" + CONTRACTION + r"?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+"
         r"|\s+(?!\S)|\s+")
KIMI_PART = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]"
DEEPSEEK3 = (r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|"
             r" ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"
ODD = (r"\b\w+?\b|(?<=\d)[a-f[x-z]&&[^y]]{2,}+|[[:punct:]&&[^.]]{,2}|\h{4}?|(?m:a.b)|(?>ab*)c"
       r"|\x{1F600}-?|\S\Z|[^\W\d_]+|^#$|.")

TEXTS = """The quick brown fox jumps over the lazy dog. It's what they've said: we'll see, I'm sure!
for (int i = 0; i < 100; i++) { printf("%d\\n", x[i] * 3.14159); }  // 2024-01-31
Déjà vu, naïve café, Zürich, Ærøskøbing, œuvre, ÅNGSTRÖM, İstanbul, ǆ Ǆ ǅ ß ẞ
Привет, мир! Как дела? Всё хорошо. Ελληνικά και πολλά άλλα. Հայերեն ქართული
日本語のテキスト、漢字とカタカナ。中文字符测试，你好世界！ 안녕하세요 세계, 한국어 문장입니다.
مرحبا بالعالم، كيف حالك؟ שלום עולם नमस्ते दुनिया สวัสดีชาวโลก বাংলা தமிழ்
👍🏽 👨‍👩‍👧‍👦 🏳️‍🌈 🇫🇷 ①②③ ½ ²³ Ⅷ ﬁ ﬂ Ａｂｃ １２３ ㎏ ™ € £ ¥ → ∑ √
    indented\tby tabs\t\tand    spaces   \r\n\r\nnew lines\n\n\nURL: https://example.com/a?b=c&d=%20#e
""".split("\n")
SAMPLES = TEXTS + [
    "", "a", " ", "  ", "\n", "\n\n  \n x", "\t", " a", "  a", "a ", "a  ", "x" * 150,
    " " * 70 + "y", "\n" * 50, "_____----=====", "123 4567 89012 3.14 1,000,000 ٣٤ 五六 ⅣⅤ",
    "I'm you're he's they've we'll I'd DON'T I'M YOU'RE ſ'ſ K'K word'ſ",
    "\x00\x01\x02\x7f\x80\x9f\u00ad\u200b\u200d\ufeff\ufffd", "a\r\nb\rc\n\rd", "e\u0301a\u0308\u0323",
    "\u0344\u1e9b\u0323\u2028\u2029\u0085\u00a0\u3000", "ABC1abc2DEF3", "camelCaseWords XMLHttpRequest",
    "<s>", "<s></s>", "a<s>b", "a <s> b</s> c", "<unk>", "  <s>  ", "x<mask>y", "x <mask> y",
    "[CLS] hi [SEP]", "<|im_start|>user\nhi<|im_end|>\n", "<tok>TOK Tok tok", "<word>s <word> <word>",
]
SPECIALS = ["<s>", "</s>", "<unk>", "<mask>", "<|im_start|>", "<|im_end|>", "<tok>", "TOK", "<word>",
            "<left>", "<right>", "[CLS]", "Été"]


def corpus():
    return (TEXTS * 3 + SAMPLES) * 4


def soup(n, seed=0, specials=None):
    r, out = random.Random(seed), []
    pools = [list(range(32, 127)), [32, 32, 32, 10, 13, 9, 0xA0, 0x3000, 0x2003, 0x85],
             list(range(0x30, 0x3A)), list(range(0xC0, 0x250)), list(range(0x370, 0x530)),
             list(range(0x590, 0x700)), list(range(0x900, 0x980)), list(range(0x3040, 0x3100)),
             list(range(0x4E00, 0x4F00)), list(range(0xAC00, 0xAC80)),
             list(range(0x1F300, 0x1F700)) + [0x200D, 0xFE0F], list(range(0x300, 0x370)), CPS,
             [ord(c) for c in "'stSTmMdDlLvVrReE "], [ord(c) for c in "abcdefghijklmnopqrstuvwxyzAB  "]]
    for _ in range(n):
        s = ""
        for _ in range(r.randint(1, 12)):
            p = r.choice(pools)
            s += "".join(chr(r.choice(p)) for _ in range(r.randint(1, 8)))
        if specials:
            for _ in range(r.randint(1, 4)):
                k = r.randint(0, len(s))
                s = (s[:k] + r.choice(["", " ", "  ", "\n", "a"]) + r.choice(specials) +
                     r.choice(["", " ", "\n ", "b"]) + s[k:])
        out.append(s)
    return out


def byte_soup(n, seed=2):
    r = random.Random(seed)
    return [bytes(r.randrange(256) for _ in range(r.randint(1, 60))).decode("utf-8", "ignore")
            for _ in range(n)]


def code_points(step):
    return ["a%sb %s 1%s" % (chr(c), chr(c), chr(c)) for c in CPS[::step]]


# ---- the tiny tokenizers ------------------------------------------------------------------------

def byte_level(pre, norm=None, post=None, ignore_merges=False, vocab=420, **kw):
    t = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    if norm is not None:
        t.normalizer = norm
    t.pre_tokenizer = pre
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(corpus(), trainers.BpeTrainer(
        vocab_size=vocab, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=kw.get("special", ["<s>", "</s>", "<|im_start|>", "<|im_end|>"])))
    if post:
        t.post_processor = post(t)
    return t


def template(t, single="<s> $A", names=("<s>", "</s>")):
    return processors.TemplateProcessing(
        single=single, special_tokens=[(n, t.token_to_id(n)) for n in names])


def split_level(*patterns, **kw):
    steps = [pre_tokenizers.Split(Regex(p), "isolated") for p in patterns]
    return byte_level(pre_tokenizers.Sequence(
        steps + [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]), **kw)


def sentencepiece_like(norm, pre, decoder, byte_fallback=True, vocab=900):
    alphabet = sorted(set("".join(TEXTS[:4])))
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=byte_fallback))
    t.normalizer, t.pre_tokenizer = norm, pre
    specials = ["<unk>", "<s>", "</s>"]
    if byte_fallback:
        specials += ["<0x%02X>" % i for i in range(256)]
    # Train over words, whatever the tokenizer will do: merges stay short.
    train = Tokenizer(models.BPE(unk_token="<unk>"))
    train.pre_tokenizer = pre_tokenizers.Metaspace()
    train.train_from_iterator(corpus(), trainers.BpeTrainer(
        vocab_size=vocab, show_progress=False, special_tokens=specials, limit_alphabet=len(alphabet)))
    model = json.loads(train.to_str())["model"]
    t.model = models.BPE(vocab=model["vocab"], merges=[tuple(m) for m in model["merges"]],
                         unk_token="<unk>", fuse_unk=True, byte_fallback=byte_fallback)
    t.add_special_tokens(["<unk>", "<s>", "</s>"])
    t.decoder = decoder
    t.post_processor = template(t)
    return t


LLAMA_DECODER = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(),
                                   decoders.Fuse(), decoders.Strip(" ", 1, 0)])


def tiny():
    """{name: Tokenizer}: one for each way that real tokenizers are built."""
    P, N, bl = pre_tokenizers, normalizers, pre_tokenizers.ByteLevel
    out = {}
    out["gpt2"] = byte_level(bl(add_prefix_space=False))
    out["roberta"] = byte_level(bl(add_prefix_space=True), post=lambda t: processors.RobertaProcessing(
        ("</s>", t.token_to_id("</s>")), ("<s>", t.token_to_id("<s>"))))
    out["smollm"] = byte_level(P.Sequence([P.Digits(True), bl(add_prefix_space=False)]))
    out["llama3"] = split_level(LLAMA3, ignore_merges=True, post=lambda t: processors.Sequence(
        [processors.ByteLevel(trim_offsets=False), template(t)]))
    out["qwen2"] = split_level(QWEN2, norm=N.NFC())
    out["cl100k"] = split_level(CL100K)
    out["gpt4o"] = split_level(GPT4O, norm=N.Sequence([N.NFKC(), N.Strip(False, True)]))
    out["kimi"] = split_level(r"[\p{Han}]+|" + KIMI_PART + r"+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+|\s+")
    out["deepseek3"] = split_level(r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", DEEPSEEK3)
    out["bloom"] = split_level(BLOOM)
    out["odd_regex"] = split_level(ODD, vocab=300)
    out["falcon"] = byte_level(P.Sequence([P.Punctuation("contiguous"), bl(add_prefix_space=False),
                                           P.Digits(False), P.Split(Regex("[0-9][0-9][0-9]"), "isolated")]))
    for b in ("removed", "contiguous", "merged_with_previous", "merged_with_next"):
        out["split_" + b] = byte_level(P.Sequence([P.Split(Regex(r"[\s\p{P}]"), b),
                                                   bl(add_prefix_space=False, use_regex=False)]), vocab=320)
    out["split_inverted"] = byte_level(P.Sequence([P.Split(Regex(r"\w+|[^\w\s]+"), "removed", True),
                                                   P.Split("e", "merged_with_next"),
                                                   bl(add_prefix_space=True, use_regex=False)]), vocab=320)
    out["llama2"] = sentencepiece_like(N.Sequence([N.Prepend("▁"), N.Replace(" ", "▁")]), None,
                                       LLAMA_DECODER)
    out["llama2_first"] = sentencepiece_like(None, P.Metaspace("▁", "first", False), LLAMA_DECODER)
    out["gemma"] = sentencepiece_like(N.Replace(" ", "▁"), P.Split(" ", "merged_with_previous"),
                                      decoders.Sequence([decoders.Replace("▁", " "),
                                                         decoders.ByteFallback(), decoders.Fuse()]))
    out["metaspace"] = sentencepiece_like(
        N.Sequence([N.NFKD(), N.Lowercase(), N.StripAccents(), N.Replace(Regex(r"\s{2,}"), " ")]),
        P.Metaspace("▁", "always", True), decoders.Metaspace("▁", "always", True), byte_fallback=False)
    bert = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    bert.normalizer, bert.pre_tokenizer = N.BertNormalizer(), P.BertPreTokenizer()
    bert.train_from_iterator(corpus(), trainers.WordPieceTrainer(
        vocab_size=500, show_progress=False, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]"]))
    bert.post_processor = template(bert, "[CLS] $A [SEP]", ("[CLS]", "[SEP]"))
    bert.decoder = decoders.WordPiece()
    out["bert"] = bert
    words = Tokenizer(models.WordLevel(unk_token="<unk>"))
    words.pre_tokenizer = P.Whitespace()
    words.train_from_iterator(corpus(), trainers.WordLevelTrainer(
        vocab_size=150, show_progress=False, special_tokens=["<unk>", "<s>", "</s>"]))
    out["words"] = words
    uni = Tokenizer(models.Unigram())
    uni.normalizer = N.Sequence([N.Nmt(), N.NFKC(), N.Replace(Regex(" {2,}"), " ")])
    uni.pre_tokenizer = P.Metaspace()
    uni.decoder = decoders.Metaspace()
    uni.train_from_iterator(corpus(), trainers.UnigramTrainer(
        vocab_size=400, show_progress=False, special_tokens=["<unk>", "<s>", "</s>"], unk_token="<unk>"))
    out["unigram"] = uni
    clip = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token="<unk>"))
    clip.normalizer, clip.pre_tokenizer = N.Sequence([N.NFC(), N.Lowercase()]), P.WhitespaceSplit()
    clip.decoder = decoders.BPEDecoder()
    clip.train_from_iterator(corpus(), trainers.BpeTrainer(
        vocab_size=500, show_progress=False, end_of_word_suffix="</w>", special_tokens=["<unk>", "<s>"]))
    out["word_suffix"] = clip
    bytes_norm = byte_level(P.Split(Regex("Ġ[^Ġ]+|[^Ġ]+"), "isolated"), norm=N.ByteLevel())
    out["byte_normalizer"] = bytes_norm
    added = byte_level(bl(add_prefix_space=False), norm=N.Lowercase(), vocab=330)
    added.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True),
                              AddedToken("<right>", rstrip=True, special=True, normalized=False),
                              AddedToken("<left>", lstrip=True, rstrip=True, normalized=False)])
    added.add_tokens([AddedToken("<word>", single_word=True), AddedToken("TOK", normalized=True),
                      AddedToken("<tok>", normalized=False), AddedToken("    ", normalized=False),
                      AddedToken("tok tok", single_word=True), AddedToken("Été", normalized=True)])
    out["added"] = added
    out["corners"], out["first"] = corners(), first()
    return out


def corners():
    """White space that two added tokens want, the unknown token spelt out, a decoder of no steps."""
    t = Tokenizer(models.Unigram([("<unk>", 0.0), ("▁", -2.0), ("a", -3.5), ("b", -4.0), ("▁a", -4.5),
                                  ("ab", -5.0), ("the", -6.0)], 0, False))
    t.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(),
                                         normalizers.Replace("-", ""), normalizers.Replace(Regex("^$"), "the")])
    t.pre_tokenizer = pre_tokenizers.Metaspace("▁", "first", True)
    t.decoder = decoders.Sequence([])
    t.add_tokens([AddedToken("\t", lstrip=True, rstrip=True, normalized=False),
                  AddedToken("  ", lstrip=True, normalized=True), AddedToken("</s>", rstrip=True, normalized=False)])
    return t


def first():
    """Which piece is the first of the text, when its characters have become more or fewer."""
    t = Tokenizer(models.WordLevel({"<unk>": 0, "▁a": 1, "a": 2, "▁1": 3, "1": 4, "▁f": 5, "f": 6,
                                    "▁i": 7, "i": 8, "▁xy": 9, "xy": 10, "▁y": 11, "y": 12}, "<unk>"))
    t.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(".", "xy"),
                                         normalizers.Replace("#", "")])
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(True), pre_tokenizers.Split(Regex("[afiy]"), "isolated"),
        pre_tokenizers.Metaspace("▁", "first", False)])
    t.decoder = decoders.Sequence([decoders.Fuse(), decoders.Replace(Regex("a?"), "x")])
    return t


# Texts for one tokenizer alone.
MORE = {"corners": ["\t\t", "</s>  ", "</s>   a", "q<unk>q", "<unk><unk>", "́ab", "-ab", "-", "á-", "́"],
        "first": ["Ａa1", "ﬃa", "１a", ".a", "a.1", "..a", "#a", "##", "1#a", "　a", "ạ́1"]}


def spm_models(folder):
    """Tiny SentencePiece models: {name: path}."""
    text, out = folder + "/corpus.txt", {}
    with open(text, "w", encoding="utf-8") as f:
        f.write("\n".join(line for line in corpus() if line.strip() and "\0" not in line))
    for name, kw in {
        "spm_bpe": dict(model_type="bpe", normalization_rule_name="identity", byte_fallback=True,
                        remove_extra_whitespaces=False, user_defined_symbols=["<tok>", "<|im_end|>"]),
        "spm_bpe_nmt": dict(model_type="bpe", normalization_rule_name="nmt_nfkc", byte_fallback=True),
        "spm_unigram": dict(model_type="unigram", normalization_rule_name="identity",
                            byte_fallback=True, add_dummy_prefix=False, split_digits=True),
    }.items():
        vocab = 700 if "bpe" in name else 640
        sentencepiece.SentencePieceTrainer.train(
            input=text, model_prefix=folder + "/" + name, vocab_size=vocab, character_coverage=0.98,
            hard_vocab_limit=False, minloglevel=2, num_threads=1, **kw)
        out[name] = folder + "/" + name + ".model"
    return out


# ---- judges -------------------------------------------------------------------------------------

class Library:
    def __init__(self, tokenizer):
        self.t = Tokenizer.from_file(str(tokenizer)) if isinstance(tokenizer, (str, pathlib.Path)) else tokenizer
        self.t.no_padding()
        self.t.no_truncation()

    def encode(self, text, special):
        return self.t.encode(text, add_special_tokens=special).ids

    def decode(self, ids, skip):
        return self.t.decode(ids, skip_special_tokens=skip)


class SentencePiece:
    """Ids alone: decoding follows transformers' Llama decoder."""
    decode = None

    def __init__(self, path):
        self.t = sentencepiece.SentencePieceProcessor(model_file=path)

    def encode(self, text, special):
        return None if special else self.t.encode(text)


class LlamaCpp:
    decode = None

    def __init__(self, path):
        import llama_cpp
        self.t = llama_cpp.Llama(path, vocab_only=True, verbose=False)

    def encode(self, text, special):
        return None if special else self.t.tokenize(text.encode(), add_bos=False, special=True)


class TikToken:
    decode = None

    def __init__(self, encoding):
        self.t = encoding

    def encode(self, text, special):
        return None if special else self.t.encode_ordinary(text)


# ---- comparing ----------------------------------------------------------------------------------

def build_driver(build):
    out = os.path.join(build, "tokenize_driver")
    libs = [os.path.join(build, "libhn_%s.a" % x)
            for x in ("text", "jinja", "format", "quant", "base")]
    source = ROOT / "tools" / "tokenize_driver.c"
    newest = max(os.path.getmtime(p) for p in libs + [source])
    if not os.path.exists(out) or os.path.getmtime(out) < newest:
        flags = os.environ.get("HONE_DRIVER_FLAGS", "").split()
        subprocess.check_call(["cc", "-O2", "-g", *flags, "-D_POSIX_C_SOURCE=200809L",
                               "-I%s/src" % ROOT, "-I%s/include" % ROOT, str(source), "-o", out, *libs,
                               "-lpcre2-8", "-lutf8proc", "-lm", "-lpthread"])
    return out


def records(data):
    i = 0
    while i < len(data):
        n, = struct.unpack_from("<I", data, i)
        yield data[i + 4:i + 4 + n]
        i += 4 + n


def ids_of(record):
    if record[:1] != b"\0":
        return record[1:].decode("utf-8", "replace")
    return list(struct.unpack("<%di" % ((len(record) - 1) // 4), record[1:]))


def text_of(record):
    return record[1:].decode("utf-8", "replace") if record[:1] == b"\0" else ("failed", record)


def compare(driver, path, judge, texts, label):
    with tempfile.TemporaryDirectory() as folder:
        with open(folder + "/in", "wb") as f:
            for t in texts:
                b = t.encode()
                f.write(struct.pack("<I", len(b)) + b)
        r = subprocess.run([driver, str(path), "encode", folder + "/in", folder + "/out"],
                           capture_output=True, text=True)
        if r.returncode or r.stderr:
            print(label, "FAILED", r.stderr[-2000:])
            return len(texts), len(texts)
        got = list(records(open(folder + "/out", "rb").read()))
    bad = 0
    for k, text in enumerate(texts):
        plain, special, whole, skipped = got[4 * k:4 * k + 4]
        want, want_special = judge.encode(text, False), judge.encode(text, True)
        same = ids_of(plain) == want and want_special in (None, ids_of(special))
        if same and judge.decode:
            same = (text_of(whole) == judge.decode(want_special, False) and
                    text_of(skipped) == judge.decode(want_special, True))
        elif same:
            same = whole[:1] == b"\0"
        if not same:
            bad += 1
            if bad == 1:
                print("first mismatch of %s: %r\n  got  %s\n  want %s" %
                      (label, text[:120], str(ids_of(plain))[:300], str(want)[:300]))
                if judge.decode and ids_of(plain) == want:
                    print("  text %r\n  want %r" % (text_of(whole)[:120],
                                                    judge.decode(want_special, False)[:120]))
    print("%-44s %7d texts %6d mismatches" % (label, len(texts), bad), flush=True)
    return len(texts), bad


def check(args):
    driver = build_driver(args.check)
    total = [0, 0]
    corpora = {"samples": SAMPLES, "soup": soup(3000 if args.full else 500), "bytes": byte_soup(1000 if args.full else 200),
               "specials": soup(800 if args.full else 300, 5, SPECIALS), "code points": code_points(1 if args.full else 97)}

    def run(path, judge, name, specials=None):
        if args.only and args.only not in name:
            return
        for label, texts in corpora.items():
            if isinstance(judge, (SentencePiece, TikToken)) and label == "specials":
                continue
            if isinstance(judge, (SentencePiece, TikToken)):
                texts = [t for t in texts if "<" not in t and "[" not in t]
            if specials and label == "specials":
                texts = soup(800 if args.full else 300, 6, specials)
            n, bad = compare(driver, path, judge, texts, name + " " + label)
            total[0] += n
            total[1] += bad

    with tempfile.TemporaryDirectory() as folder:
        for name, t in tiny().items():
            t.save(folder + "/tokenizer.json")
            run(folder + "/tokenizer.json", Library(folder + "/tokenizer.json"), name)
        for name, path in spm_models(folder).items():
            run(path, SentencePiece(path), name)
    for path in found_models():
        run(path, SentencePiece(path), os.path.basename(path))
    if args.litellm:
        check_litellm(args.litellm, run)
    if args.gguf:
        run(args.gguf, LlamaCpp(args.gguf), "gguf " + os.path.basename(args.gguf))
    for path in args.json or []:
        run(path, Library(path), path, [a.content for a in
                                        Tokenizer.from_file(path).get_added_tokens_decoder().values()])
    print("%d texts compared, %d mismatches" % tuple(total))
    return total[1] != 0


def found_models():
    try:
        import mistral_common
    except ImportError:
        return []
    data = pathlib.Path(mistral_common.__file__).parent / "data"
    return [str(p) for p in sorted(data.iterdir()) if ".model.v" in p.name]


def check_litellm(folder, run):
    """tokenizer.json files, and tiktoken's vocabularies converted to that format."""
    for path in sorted(pathlib.Path(folder).glob("*_tokenizer.json")):
        run(str(path), Library(path), path.name,
            [a.content for a in Tokenizer.from_file(str(path)).get_added_tokens_decoder().values()])
    os.environ["TIKTOKEN_CACHE_DIR"] = folder
    try:
        import tiktoken
        from transformers.convert_slow_tokenizer import TikTokenConverter
    except ImportError:
        return
    for name in ("cl100k_base", "o200k_base", "p50k_base"):
        try:
            e = tiktoken.get_encoding(name)
        except Exception:
            continue
        converter = TikTokenConverter.__new__(TikTokenConverter)
        with tempfile.TemporaryDirectory() as work:
            convert_tiktoken(e).save(work + "/tokenizer.json")
            run(work + "/tokenizer.json", Library(work + "/tokenizer.json"), name)
            run(work + "/tokenizer.json", TikToken(e), name + " (tiktoken)")


def convert_tiktoken(e):
    """Ranks to merges: each token is the join of its two parts in the merging that makes it."""
    to_char = {b: c for b, c in zip(range(256), [None] * 256)}
    n = 0
    for b in range(256):
        plain = 0x21 <= b <= 0x7E or 0xA1 <= b <= 0xAC or 0xAE <= b <= 0xFF
        to_char[b] = chr(b) if plain else chr(256 + n)
        n += not plain
    spell = lambda b: "".join(to_char[x] for x in b)
    ranks, merges = e._mergeable_ranks, []

    def parts(token, limit):
        p = [bytes([b]) for b in token]
        while len(p) > 2:
            best = min(((ranks.get(p[i] + p[i + 1], limit), i) for i in range(len(p) - 1)))
            if best[0] >= limit:
                return None
            i = best[1]
            p[i:i + 2] = [p[i] + p[i + 1]]
        return p

    for token, rank in sorted(ranks.items(), key=lambda kv: kv[1]):
        if len(token) > 1:
            p = parts(token, rank)
            if p:
                merges.append((spell(p[0]), spell(p[1])))
    t = Tokenizer(models.BPE(vocab={spell(b): r for b, r in ranks.items()}, merges=merges,
                             ignore_merges=True))
    t.pre_tokenizer = pre_tokenizers.Sequence([
        # {1,3}+ is possessive to tiktoken, but a repetition repeated to Oniguruma.
        pre_tokenizers.Split(Regex(e._pat_str.replace("{1,3}+", "{1,3}")), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    return t


# ---- the committed goldens ----------------------------------------------------------------------

def vector(judge, text):
    """"ids" (with specials) where they are not "plain"; "whole" and "skipped" (decoded ids, without
    specials) where they are not "text"."""
    plain, ids = judge.encode(text, False), judge.encode(text, True)
    v = {"text": text, "plain": plain}
    for key, value, usual in (("ids", ids, plain), ("whole", judge.decode(ids, False), text),
                              ("skipped", judge.decode(ids, True), text)):
        if value != usual:
            v[key] = value
    return v


def write_goldens(retrain):
    OUT.mkdir(parents=True, exist_ok=True)
    for old in OUT.iterdir():
        if retrain or old.suffix not in (".json", ".model"):
            old.unlink()
    texts = SAMPLES + soup(8, 11) + soup(5, 12, SPECIALS) + byte_soup(3, 13)
    for name, t in tiny().items():
        if not (OUT / (name + ".json")).exists():
            model = json.loads(t.to_str())
            with open(OUT / (name + ".json"), "w", encoding="utf-8") as f:
                json.dump(model, f, ensure_ascii=False, separators=(",", ":"))
        judge = Library(OUT / (name + ".json"))
        with open(OUT / (name + ".vectors"), "w", encoding="utf-8") as f:
            json.dump([vector(judge, s) for s in texts + MORE.get(name, [])], f, ensure_ascii=False, separators=(",", ":"))
    with tempfile.TemporaryDirectory() as folder:
        for name, path in spm_models(folder).items():
            kept = OUT / (name + ".model")
            if not kept.exists():
                kept.write_bytes(pathlib.Path(path).read_bytes())
            path = str(kept)
            judge = SentencePiece(path)
            safe = [s for s in texts if "<" not in s]
            with open(OUT / (name + ".vectors"), "w", encoding="utf-8") as f:
                json.dump([{"text": s, "plain": judge.encode(s, False)} for s in safe], f,
                          ensure_ascii=False, separators=(",", ":"))
            if name == "spm_bpe":
                write_gguf(path, OUT / "spm.gguf")
    write_byte_level_gguf(OUT / "smollm.json", OUT / "smollm.gguf")
    write_sums()


def fnv(data):
    """hn_hash: FNV-1a and a final mix."""
    h, m = 0xCBF29CE484222325, (1 << 64) - 1
    for b in data:
        h = (h ^ b) * 0x100000001B3 & m
    h ^= h >> 32
    h = h * 0xD6E8FEB86659FD93 & m
    return "%016x" % (h ^ h >> 32)


def write_sums():
    """Hashes over every code point: normal forms and lower case of the character alone and among
    marks, and the ids of all characters in one text."""
    forms = {"nfc": normalizers.NFC(), "nfd": normalizers.NFD(), "nfkc": normalizers.NFKC(),
             "nfkd": normalizers.NFKD(), "lower": normalizers.Lowercase(),
             "accents": normalizers.StripAccents(), "bert": normalizers.BertNormalizer()}
    sums = {}
    for name, form in forms.items():
        text = "\n".join(form.normalize_str("a%c\u0327%c\u0301" % (c, c)) for c in CPS)
        sums[name] = fnv(text.encode())
    for name in ("smollm", "gpt4o", "metaspace", "words"):
        t, ids = Tokenizer.from_file(str(OUT / (name + ".json"))), []
        for i in range(0, len(CPS), 1 << 14):
            ids += t.encode("".join("1%ca " % c for c in CPS[i:i + (1 << 14)]),
                            add_special_tokens=False).ids
        sums[name] = fnv(struct.pack("<%di" % len(ids), *ids))
    (OUT / "every_code_point.sums").write_text(json.dumps(sums, indent=1) + "\n")


def write_gguf(model, path):
    import gguf
    from sentencepiece import sentencepiece_model_pb2
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(pathlib.Path(model).read_bytes())
    w = gguf.GGUFWriter(str(path), "llama")
    w.add_tokenizer_model("llama")
    w.add_token_list([p.piece.encode() for p in proto.pieces])
    w.add_token_scores([p.score for p in proto.pieces])
    w.add_token_types([p.type for p in proto.pieces])
    w.add_bos_token_id(1)
    w.add_eos_token_id(2)
    w.add_unk_token_id(0)
    finish_gguf(w)


def write_byte_level_gguf(source, path):
    import gguf
    j = json.loads(pathlib.Path(source).read_text(encoding="utf-8"))
    tokens = sorted(j["model"]["vocab"], key=j["model"]["vocab"].get)
    special = {a["id"] for a in j["added_tokens"]}
    w = gguf.GGUFWriter(str(path), "llama")
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("smollm")
    w.add_token_list([t.encode() for t in tokens])
    w.add_token_types([3 if i in special else 1 for i in range(len(tokens))])
    w.add_token_merges([" ".join(m) for m in j["model"]["merges"]])
    w.add_bos_token_id(2)
    w.add_eos_token_id(3)
    w.add_chat_template("{{ messages }}")
    finish_gguf(w)


def finish_gguf(w):
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--check", metavar="BUILD")
    p.add_argument("--retrain", action="store_true")
    p.add_argument("--only")
    p.add_argument("--full", action="store_true")
    p.add_argument("--gguf")
    p.add_argument("--json", action="append")
    p.add_argument("--litellm")
    args = p.parse_args()
    sys.exit(check(args) if args.check else write_goldens(args.retrain))


if __name__ == "__main__":
    main()
