#!/usr/bin/env python3
"""What the tokenizers library takes each code point to be, as C tables.

    python tools/make_unicode_tables.py classes > src/text/unicode_tables.c
    python tools/make_unicode_tables.py forms > src/text/unicode_forms.c

Every table is asked of the library itself, over all code points: the sets that its regular
expressions know (Oniguruma), the classes of its own Rust code, case folding, lower case, and the
four Unicode normalisations.  Nothing is taken from Python's unicodedata except candidates to ask
about.  Needs: tokenizers, fonttools (names of scripts).
"""
import sys
import unicodedata

import tokenizers
from fontTools.unicodedata import Scripts
from tokenizers import Regex, normalizers, pre_tokenizers

CPS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
ALL = "".join(map(chr, CPS))


def runs(pre_tokenizer, text=ALL, cps=CPS):
    return [(cps[a], cps[b - 1]) for _, (a, b) in pre_tokenizer.pre_tokenize_str(text)]


def regex_set(pattern):
    return runs(pre_tokenizers.Split(Regex("(?:" + pattern + ")+"), "removed", True))


def complement(ranges):
    out, at = [], 0
    for a, b in ranges:
        if a > at:
            out.append((at, a - 1))
        at = b + 1
    return out + [(at, 0x10FFFF)] if at <= 0x10FFFF else out


CATEGORIES = {
    "Lu": "Uppercase_Letter", "Ll": "Lowercase_Letter", "Lt": "Titlecase_Letter",
    "Lm": "Modifier_Letter", "Lo": "Other_Letter", "Mn": "Nonspacing_Mark", "Mc": "Spacing_Mark",
    "Me": "Enclosing_Mark", "Nd": "Decimal_Number", "Nl": "Letter_Number", "No": "Other_Number",
    "Pc": "Connector_Punctuation", "Pd": "Dash_Punctuation", "Ps": "Open_Punctuation",
    "Pe": "Close_Punctuation", "Pi": "Initial_Punctuation", "Pf": "Final_Punctuation",
    "Po": "Other_Punctuation", "Sm": "Math_Symbol", "Sc": "Currency_Symbol",
    "Sk": "Modifier_Symbol", "So": "Other_Symbol", "Zs": "Space_Separator",
    "Zl": "Line_Separator", "Zp": "Paragraph_Separator", "Cc": "Control", "Cf": "Format",
    "Co": "Private_Use", "Cn": "Unassigned", "Cs": "Surrogate",
}
GROUPS = {"L": "Letter", "M": "Mark", "N": "Number", "P": "Punctuation", "S": "Symbol",
          "Z": "Separator", "C": "Other", "LC": "Cased_Letter"}

# Names for \p{…} and for POSIX brackets, each asked as \p{NAME}.
PROPERTIES = """Alnum Alpha Blank Cntrl Digit Graph Lower Print Punct Space Upper XDigit Word ASCII
Any Assigned Alphabetic Uppercase Lowercase White_Space Emoji Emoji_Presentation Emoji_Modifier
Emoji_Modifier_Base Emoji_Component Extended_Pictographic Ideographic Cased Math Dash Diacritic
Variation_Selector""".split()
POSIX = "alnum alpha blank cntrl digit graph lower print punct space upper xdigit word".split()


def squeeze(name):
    return name.replace("_", "").replace("-", "").replace(" ", "").lower()


def packed(pairs, n_values):
    """[(first, last, value)] over all code points -> starts, each first << 8 | value."""
    assert n_values <= 256
    pairs = sorted(pairs)
    out, last = [], None
    for a, _, v in pairs:
        if v != last:
            out.append(a << 8 | v)
            last = v
    return out


def gather_classes():
    cats, tables = list(CATEGORIES), {}
    pairs = [(0xD800, 0xDFFF, cats.index("Cs"))]
    for i, cat in enumerate(cats):
        if cat == "Cs":
            continue
        # A run that crosses the surrogates comes back as one: cut it.
        for a, b in regex_set(r"\p{%s}" % cat):
            if a < 0xD800 <= b:
                pairs += [(a, 0xD7FF, i), (0xE000, b, i)]
            else:
                pairs.append((a, b, i))
    covered = sum(b - a + 1 for a, b, _ in pairs)
    assert covered == 0x110000, hex(covered)
    tables["category"] = packed(pairs, 30)

    scripts, script_pairs, names = [], [], {}
    for short, name in sorted(Scripts.NAMES.items(), key=lambda kv: kv[1]):
        if short == "Zzzz":
            continue
        try:
            ranges = regex_set(r"\p{%s}" % name)
        except Exception:
            continue
        names[squeeze(name)] = names[squeeze(short)] = len(scripts)
        script_pairs += [(a, b, len(scripts)) for a, b in ranges]
        scripts.append(name)
    unknown, at = len(scripts), 0
    names["unknown"] = names["zzzz"] = unknown
    filled = []
    for a, b, v in sorted(script_pairs):
        assert a >= at, "scripts overlap"
        if a > at:
            filled.append((at, a - 1, unknown))
        filled.append((a, b, v))
        at = b + 1
    filled.append((at, 0x10FFFF, unknown))
    tables["script"] = packed(filled, 256)

    sets = {}
    for name in PROPERTIES:
        sets[squeeze(name)] = regex_set(r"\p{%s}" % name)
    # [[:punct:]] is wider than \p{Punct}, and [[:word:]] and [\w] lack six characters of \w; the
    # other POSIX brackets are the property.
    for name in POSIX:
        bracket = regex_set("[[:%s:]]" % name)
        if name in ("punct", "word"):
            sets["[" + name] = bracket
        else:
            assert bracket == sets[name], name
    sets["\\s"], sets["\\d"], sets["\\w"], sets["\\h"] = map(
        regex_set, (r"\s", r"\d", r"\w", r"\h"))
    for c in "sdwh":
        whole = regex_set("\\" + c.upper())
        assert complement(sets["\\" + c]) == whole, c
        assert regex_set("[\\%s]" % c) == sets["[word" if c == "w" else "\\" + c]
    # The library's own Rust classes.
    sets["rust whitespace"] = complement(runs(pre_tokenizers.WhitespaceSplit()))
    sets["rust numeric"] = digits()
    sets["rust punctuation"] = complement(runs(pre_tokenizers.Punctuation("removed")))
    sets["rust \\w"] = rust_word()
    return tables, scripts, names, sets


def digits():
    """char::is_numeric, from Digits: runs alternate, and '0' is one."""
    out = []
    for a, b in runs(pre_tokenizers.Digits(False)):
        out.append((a, b))
    first = next(i for i, (a, b) in enumerate(out) if a <= 0x30 <= b)
    return out[first % 2::2]


def rust_word():
    """\\w of the regex crate, from Whitespace: \\w+|[^\\w\\s]+ keeps runs of words and of others."""
    out = []
    # Between two word characters, a word character does not make a piece of its own.
    probe = "".join("a" + chr(c) + "a " for c in CPS)
    pieces = pre_tokenizers.Whitespace().pre_tokenize_str(probe)
    alone = {}
    for text, (a, b) in pieces:
        alone.setdefault(a // 4, []).append(text)
    members = [c for i, c in enumerate(CPS) if len(alone[i]) == 1]
    for c in members:
        if out and out[-1][1] == c - 1:
            out[-1] = (out[-1][0], c)
        else:
            out.append((c, c))
    return out


def stride_runs(mapping):
    """{c: c + delta} as (first, last, stride, delta)."""
    out, items = [], sorted(mapping.items())
    i = 0
    while i < len(items):
        c, d = items[i][0], items[i][1] - items[i][0]
        j, stride = i, 0
        while j + 1 < len(items) and items[j + 1][1] - items[j + 1][0] == d:
            step = items[j + 1][0] - items[j][0]
            if step > 2 or (stride and step != stride):
                break
            stride = step
            j += 1
        out.append((c, items[j][0], stride or 1, d))
        i = j + 1
    return out


def gather_folds():
    """Pairs (c, d): the pattern (?i:c) also matches d.  d may be several characters."""
    cand = set()
    for c in CPS:
        s = chr(c)
        for t in (s.lower(), s.upper(), s.title(), s.casefold()):
            if t != s:
                cand.add(c)
                cand.update(map(ord, t))
    for first, last in regex_set(r"[\p{Lu}\p{Ll}\p{Lt}]"):
        cand.update(c for c in range(first, last + 1) if not 0xD800 <= c < 0xE000)
    cps = sorted(cand)
    text = "\n".join(map(chr, cps))
    folds = {}
    for c in cps:
        p = pre_tokenizers.Split(Regex("(?i:\\x{%x})" % c), "removed", True)
        for t, (a, b) in p.pre_tokenize_str(text):
            assert b - a == 1
            if ord(t) != c:
                folds.setdefault(c, []).append(ord(t))
    layers, k = [], 0
    while True:
        layer = {c: sorted(ds)[k] for c, ds in folds.items() if len(ds) > k}
        if not layer:
            break
        layers.append(layer)
        k += 1
    return layers, multi_folds(cps)


def multi_folds(cps):
    """Strings of several characters that (?i:STRING) matches as one character, and back."""
    out = set()
    for c in cps:
        for t in (chr(c).casefold(), chr(c).lower(), chr(c).upper().lower()):
            if len(t) > 1:
                p = pre_tokenizers.Split(Regex("(?i:%s)" % t), "removed", True)
                if any(s == chr(c) for s, _ in p.pre_tokenize_str(chr(c))):
                    out.add((t, c))
    return sorted(out)


def gather_forms():
    """Decompositions, combining classes, compositions, lower case, marks."""
    nfd, nfkd = normalizers.NFD().normalize_str, normalizers.NFKD().normalize_str
    nfc, nfkc = normalizers.NFC().normalize_str, normalizers.NFKC().normalize_str
    plain = [c for c in CPS if not 0xAC00 <= c < 0xD7A4]
    canonical = {c: nfd(chr(c)) for c in plain if nfd(chr(c)) != chr(c)}
    compat = {c: nfkd(chr(c)) for c in plain if nfkd(chr(c)) != nfd(chr(c))}
    for c in range(0xAC00, 0xD7A4):  # Hangul is arithmetic: see normal_form.c
        i = c - 0xAC00
        want = chr(0x1100 + i // 588) + chr(0x1161 + i % 588 // 28)
        want += chr(0x11A7 + i % 28) if i % 28 else ""
        assert nfd(chr(c)) == nfkd(chr(c)) == want and nfc(want) == nfkc(want) == chr(c)
    pairs = {}
    for c, d in canonical.items():
        if nfc(d) == chr(c) and len(nfc(d[:-1])) == 1:
            first, second = nfc(d[:-1]), d[-1]
            assert nfc(first + second) == chr(c) and nfkc(first + second) == nfkc(chr(c))
            pairs[ord(first), ord(second)] = c
    return canonical, compat, pairs, gather_ccc(nfd, canonical)


def gather_ccc(nfd, canonical):
    """The combining class, told from how a mark is sorted among marks of known classes."""
    def swaps(a, b):
        return a != b and nfd("a" + a + b) == "a" + b + a

    low, high = chr(0x334), chr(0x345)  # classes 1 and 240
    refs = {}
    for c in CPS:
        k, s = unicodedata.combining(chr(c)), chr(c)
        if k and k not in refs and c not in canonical and (swaps(s, low) or swaps(high, s)):
            refs[k] = s
    out = {}
    for c in CPS:
        s = chr(c)
        if c in canonical or not (swaps(s, low) or swaps(high, s)):
            continue
        same = [k for k, r in refs.items() if not swaps(s, r) and not swaps(r, s)]
        assert len(same) == 1, (hex(c), same)
        out[c] = same[0]
    return out


def gather_case():
    lower = normalizers.Lowercase().normalize_str
    one, several = {}, {}
    for c in CPS:
        t = lower(chr(c))
        if t != chr(c):
            (one if len(t) == 1 else several)[c] = ord(t) if len(t) == 1 else t
    return one, several


def gather_bert():
    nfd = normalizers.NFD().normalize_str
    strip = normalizers.StripAccents().normalize_str
    clean = normalizers.BertNormalizer(True, False, False, False).normalize_str
    chinese = normalizers.BertNormalizer(False, True, False, False).normalize_str
    accents = normalizers.BertNormalizer(False, False, True, False).normalize_str
    sets = {
        "combining mark": [c for c in CPS if strip(chr(c)) == ""],
        "bert control": [c for c in CPS if clean(chr(c)) == ""],
        "bert space": [c for c in CPS if clean(chr(c)) == " "],
        "bert chinese": [c for c in CPS if chinese(chr(c)) != chr(c)],
        "bert accent": [c for c in CPS if accents(chr(c)) == "" and nfd(chr(c)) == chr(c)],
    }
    return {name: ranges_of(cps) for name, cps in sets.items()}


def ranges_of(cps):
    out = []
    for c in cps:
        if out and (out[-1][1] == c - 1 or (out[-1][1] == 0xD7FF and c == 0xE000)):
            out[-1] = (out[-1][0], c)
        else:
            out.append((c, c))
    return out


def emit_strings(name, table):
    """{c: text} as three arrays: code points, where each text starts (one more), the texts."""
    items = sorted(table.items())
    starts, pool = [], []
    for _, t in items:
        starts.append(len(pool))
        pool += map(ord, t)
    emit(name + "_cps", [c for c, _ in items])
    emit(name + "_starts", starts + [len(pool)], "uint16_t", fmt="%d", counted=False)
    emit(name + "_texts", pool, counted=False)


def emit(name, values, kind="uint32_t", per=8, fmt="0x%x", counted=True):
    print("const %s %s[] = {" % (kind, name))
    for i in range(0, len(values), per):
        print("    " + " ".join(fmt % v + "," for v in values[i:i + per]))
    print("};")
    print("const size_t %s_count = %d;\n" % (name, len(values)) if counted else "")


def head(line):
    print("/* %s" % line)
    print(" * Written by tools/make_unicode_tables.py; do not edit. */")
    print("/* clang-format off */")
    print('#include "text/unicode_tables.h"\n')


def classes():
    tables, scripts, names, sets = gather_classes()
    layers, multi = gather_folds()
    sets.update(gather_bert())
    head("What the tokenizers library (%s) takes each code point to be." % tokenizers.__version__)
    emit("hn_ucd_category", tables["category"])
    emit("hn_ucd_script", tables["script"])

    print("const struct hn_ucd_name hn_ucd_names[] = {")
    rows = {}
    cats = list(CATEGORIES)
    for i, (short, long) in enumerate(CATEGORIES.items()):
        rows[squeeze(short)] = rows[squeeze(long)] = ("CATEGORY", 1 << i)
    for short, long in GROUPS.items():
        mask = sum(1 << i for i, c in enumerate(cats)
                   if c[0] == short or (short == "LC" and c in ("Lu", "Ll", "Lt")))
        rows[squeeze(short)] = rows[squeeze(long)] = ("CATEGORY", mask)
    for name, i in names.items():
        rows.setdefault(name, ("SCRIPT", i))
    ordered = list(sets)
    for name in ordered:
        if name[0] not in "\\[" and " " not in name:
            rows[name] = ("SET", ordered.index(name))
    # Keep only names that the library knows.
    for name in list(rows):
        kind, value = rows[name]
        try:
            Regex(r"\p{%s}" % name)
        except Exception:
            del rows[name]
    for name in sorted(rows):
        print('    {"%s", HN_UCD_%s, 0x%x},' % (name, *rows[name]))
    print("};\nconst size_t hn_ucd_names_count = %d;\n" % len(rows))

    flat, index = [], []
    for name in ordered:
        index.append((len(flat) // 2, len(sets[name])))
        for a, b in sets[name]:
            flat += [a, b]
    emit("hn_ucd_set_ranges", flat, counted=False)
    enum = [squeeze(n.replace("\\", "regex ").replace("[", "bracket ")) for n in ordered]
    print("const struct hn_ucd_span hn_ucd_sets[] = {")
    for e, (at, n) in zip(enum, index):
        print("    {%d, %d}, /* %s */" % (at, n, e))
    print("};\n")
    for i, layer in enumerate(layers):
        print("/* layer %d */" % i)
    rows = [r for layer in layers for r in stride_runs(layer)]
    print("const struct hn_ucd_stride hn_ucd_folds[] = {")
    for r in rows:
        print("    {0x%x, 0x%x, %d, %d}," % r)
    print("};\nconst size_t hn_ucd_folds_count = %d;\n" % len(rows))
    print("/* Several characters that ignoring case make equal to one. */")
    print("const struct hn_ucd_multi hn_ucd_multi_folds[] = {")
    for t, c in multi:
        print('    {"%s", 0x%x},' % ("".join("\\%03o" % b for b in t.encode()), c))
    print("};\nconst size_t hn_ucd_multi_folds_count = %d;" % len(multi))
    print("enumeration:", ", ".join("HN_SET_" + e.upper() for e in enum), file=sys.stderr)


def forms():
    canonical, compat, pairs, ccc = gather_forms()
    lower, lower_several = gather_case()
    head("Normal forms and lower case of the tokenizers library (%s)." % tokenizers.__version__)
    emit_strings("hn_ucd_canonical", canonical)
    emit_strings("hn_ucd_compat", compat)
    emit_strings("hn_ucd_lower_several", lower_several)
    print("const struct hn_ucd_stride hn_ucd_lower[] = {")
    rows = stride_runs(lower)
    for r in rows:
        print("    {0x%x, 0x%x, %d, %d}," % r)
    print("};\nconst size_t hn_ucd_lower_count = %d;\n" % len(rows))
    flat = []
    for a, b in ranges_of(sorted(ccc)):
        at = a
        for c in range(a, b + 2):
            if c > b or ccc[c] != ccc[at]:
                flat += [at << 8 | ccc[at], c - 1]
                at = c
    emit("hn_ucd_ccc", flat)
    emit("hn_ucd_pairs", [v for (a, b), c in sorted(pairs.items()) for v in (a, b, c)])


{"classes": classes, "forms": forms}[sys.argv[1]]()
