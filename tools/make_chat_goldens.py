#!/usr/bin/env python3
"""Goldens of test/text/test_chat.c, from transformers; and comparisons of hone with it.

  make_chat_goldens.py --tables               write src/jinja/jinja_case_table.c anew
  make_chat_goldens.py                        write test/jinja/templates/*.json anew
  make_chat_goldens.py --check DIR --driver TEST_CHAT
        render every template under DIR (*.jinja, or the chat_template of *.json) on every
        conversation below, by transformers and by hone (build/test/test_chat), and compare
  make_chat_goldens.py --fuzz SECONDS --driver TEST_CHAT [--seed N]
        random expressions and templates, likewise
"""
import argparse
import datetime
import json
import os
import pathlib
import random
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
NOW = 1732368330  # 23 November 2024, 13:25:30 UTC
os.environ["TZ"] = "UTC"
time.tzset()

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather at a place, e.g. <Zürich> & 'Genève'.",
        "parameters": {
            "type": "object",
            "properties": {
                "place": {"type": "string", "description": "The town", "enum": ["Zürich", "Bern"]},
                "days": {"type": "integer", "description": "Days ahead", "default": 3},
                "exact": {"type": ["boolean", "null"], "description": "Exact?"},
                "where": {"type": "array", "items": {"type": "number"}},
                "more": {"type": "object", "properties": {"x": {"type": "string"}}},
            },
            "required": ["place"],
        },
        "return": {"type": "string", "description": "The weather"},
    },
}
TOOL2 = {
    "type": "function",
    "function": {"name": "stop", "description": "Stops", "parameters": {"type": "object", "properties": {}}},
}


def user(s, **more):
    return {"role": "user", "content": s, **more}


def assistant(s, **more):
    return {"role": "assistant", "content": s, **more}


def system(s):
    return {"role": "system", "content": s}


def call(name, arguments, id="call12345"):
    return {"type": "function", "id": id, "function": {"name": name, "arguments": arguments}}


SYSTEM = system("You are terse.\n\n  Really.  ")
HELLO = [user("Hello, how are you?"), assistant("Fine.")]
TOOLED = [
    user("Weather in Zürich?"),
    assistant("", tool_calls=[call("get_weather", {"place": "Zürich", "days": 2, "exact": None})]),
    {"role": "tool", "name": "get_weather", "tool_call_id": "call12345", "content": "12 °C"},
    assistant("It is 12 °C."),
]
CONVERSATIONS = {
    "one": [user("Hello, how are you?")],
    "two": HELLO,
    "three": HELLO + [user("And you?")],
    "six": HELLO + [user(" b "), assistant(" c\n"), user("d"), assistant("e")],
    "system": [SYSTEM, user("Hi"), assistant("Hello!"), user("Bye")],
    "system only": [SYSTEM],
    "system end": [SYSTEM, user("Hi"), assistant("Hello!")],
    "unicode": [user("Grüße 你好 👋🏽 \u200b\u00a0 ñ́ \"q\" 'a' <b>&\\n\t{{ x }} {% y %}"), assistant("ß\u2028ſ")],
    "empty": [user(""), assistant("")],
    "empty system": [system(""), user("a")],
    "null": [user("a"), assistant(None), user("b")],
    "parts": [user([{"type": "text", "text": "What is"}, {"type": "text", "text": " this?"}]),
              assistant([{"type": "text", "text": "A list."}])],
    "image": [user([{"type": "image"}, {"type": "text", "text": "What is this?"}])],
    "two users": [user("a"), user("b")],
    "assistant first": [assistant("Welcome!"), user("Hi")],
    "assistant twice": [user("a"), assistant("b"), assistant("c")],
    "system in the middle": [user("a"), system("b"), user("c")],
    "unknown role": [user("a"), {"role": "critic", "content": "b"}],
    "developer": [{"role": "developer", "content": "Be good."}, user("a")],
    "numbers": [user(3), assistant(2.5)],
    "tools": TOOLED,
    "tools three": TOOLED[:3],
    "tools two": TOOLED[:2],
    "tools system": [SYSTEM] + TOOLED + [user("Thanks"), assistant("Welcome")],
    "tools text": [user("a"), assistant("Let me see.", tool_calls=[call("get_weather", '{"place": "Bern"}'),
                                                                  call("stop", {}, "call67890")]),
                   {"role": "tool", "tool_call_id": "call12345", "name": "get_weather", "content": {"t": 3}},
                   {"role": "tool", "tool_call_id": "call67890", "name": "stop", "content": "ok"},
                   assistant("Done.")],
    "tools no content": [user("a"), {"role": "assistant", "tool_calls": [call("stop", {})]}],
    "thinking": [user("2+2?"), assistant("<think>\nadd\n</think>\n\n4"), user("3+3?"),
                 assistant("<think>\nagain\n</think>\n\n6")],
    "reasoning": [user("2+2?"), assistant("4", reasoning_content="add"), user("3+3?"),
                  assistant("6", reasoning_content="again\n")],
    "thinking key": [user("2+2?"), assistant("4", thinking="add", reasoning="other")],
    "thinking tools": [user("a"), assistant("", reasoning_content="look", tool_calls=[call("stop", {})]),
                       {"role": "tool", "content": "ok"}, assistant("done", reasoning_content="so")],
    "long": [user("a\n" * 50), assistant("b " * 200), user("  "), assistant("\n")],
}
DOCUMENTS = [{"title": "Tür", "text": "Öffnen."}, {"title": "B", "text": "b\nc"}]
VARIANTS = [
    {},
    {"add_generation_prompt": True},
    {"tools": [TOOL]},
    {"tools": [TOOL, TOOL2], "add_generation_prompt": True},
    {"tools": []},
    {"variables": {"enable_thinking": False, "thinking": False}, "add_generation_prompt": True},
    {"variables": {"enable_thinking": True, "thinking": True, "reasoning_effort": "high",
                   "preserve_thinking": True}, "add_generation_prompt": True},
    {"documents": DOCUMENTS, "add_generation_prompt": True},
    {"variables": {"date_string": "1 Jan 2025", "custom_tools": [TOOL], "builtin_tools": ["brave_search"],
                   "tools_in_user_message": False, "xml_tools": [TOOL], "python_tools": ["f"]}},
]
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.utcfromtimestamp(NOW)


def prepare():
    from transformers.utils import chat_template_utils
    chat_template_utils.datetime = Clock
    return chat_template_utils


def by_transformers(utils, request):
    """What PreTrainedTokenizerBase.apply_chat_template(tokenize=False) does, without a tokenizer."""
    messages = request["messages"]
    if not messages:
        return {"error": "empty"}
    try:
        messages = [{k: v for k, v in m.items() if v is not None} for m in messages]
        variables = {**{k: request[k] for k in TOKENS if k in request}, **request.get("variables", {})}
        text, spans = utils.render_jinja_template(
            [messages], request.get("tools"), request.get("documents"), request["template"],
            add_generation_prompt=request.get("add_generation_prompt", False),
            return_assistant_tokens_mask=request.get("spans", False), **variables)
        return {"text": text[0], "spans": spans[0] if spans else []}
    except RecursionError:
        return {"error": "recursion"}
    except Exception as e:  # every failure of a template is one answer: an error
        return {"error": f"{type(e).__name__}: {e}"}


class Driver:
    def __init__(self, path):
        self.path = path
        self.start()

    def start(self):
        self.p = subprocess.Popen([self.path, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  env={**os.environ, "TZ": "UTC"})

    def ask(self, request):
        line = json.dumps(request).encode() + b"\n"
        self.p.stdin.write(line)
        self.p.stdin.flush()
        answer = self.p.stdout.readline()
        if not answer:
            status = self.p.wait()
            self.start()
            return {"error": f"CRASH {status}", "crash": True}
        return json.loads(answer.decode("utf-8", "surrogatepass"))


def same(a, b):
    if b.get("crash"):
        return False
    return ("error" in a) == ("error" in b) and a.get("text") == b.get("text")


def templates_under(folder):
    for path in sorted(pathlib.Path(folder).rglob("*")):
        name = str(path.relative_to(folder))
        if path.suffix in (".jinja", ".jinja2", ".j2"):
            yield name, path.read_text()
        elif path.suffix == ".json":
            try:
                found = json.loads(path.read_text()).get("chat_template")
            except (ValueError, AttributeError):
                continue
            if isinstance(found, str):
                yield name, found
            elif isinstance(found, list):
                for one in found:
                    yield f"{name}:{one['name']}", one["template"]


def check(folder, driver, verbose):
    utils, hone = prepare(), Driver(driver)
    n_templates = n_cases = n_text = n_wrong = 0
    for name, template in templates_under(folder):
        n_templates += 1
        wrong = texts = cases = 0
        first = None
        for title, messages in CONVERSATIONS.items():
            for variant in VARIANTS:
                request = {"template": template, "messages": messages, "now": NOW, **TOKENS, **variant}
                want, got = by_transformers(utils, request), hone.ask(request)
                cases += 1
                texts += "text" in want
                if not same(want, got):
                    wrong += 1
                    first = first or (title, variant, want, got)
        n_cases, n_text, n_wrong = n_cases + cases, n_text + texts, n_wrong + wrong
        if wrong or verbose:
            print(f"{name}: {cases} cases, {texts} rendered, {wrong} differ")
        if first:
            title, variant, want, got = first
            print(f"  conversation '{title}', {json.dumps(variant)[:150]}")
            print(f"  transformers: {json.dumps(want, ensure_ascii=False)[:1500]}")
            print(f"  hone:         {json.dumps(got, ensure_ascii=False)[:1500]}")
    print(f"{n_templates} templates, {n_cases} cases on {len(CONVERSATIONS)} conversations x {len(VARIANTS)} "
          f"settings, {n_text} rendered (the rest fail in both), {n_wrong} differ")
    return n_wrong



class Writer:
    """Random expressions and templates of the language."""

    NAMES = ["a", "b", "s", "t", "l", "m", "d", "e", "n", "f", "u", "none", "true", "false", "items", "r", "ns"]
    VARS = {
        "a": 3, "b": -7, "s": "Hello, Wörld ß", "t": "  a<b>\n c\t", "l": [3, 1, 2, 1], "m": ["b", "A", "c", "B"],
        "d": {"x": 1, "y": [1, 2], "items": "I", "é": None}, "e": {}, "n": 12345678901234567890, "f": 2.5,
        "items": [{"k": "b", "v": 2, "w": {"z": 1}}, {"k": "A", "v": 1}, {"k": "b", "v": None}], "r": True,
    }
    STRINGS = ["''", "'a'", "'b'", "'ab,c'", "'A b'", "'x'", "'k'", "'v'", "'é'", "'\\n'", "' '", "'12'", "' -3 '",
               "'1.5e3'", "'%s-%s'", "'%05.1f|%x|%r'", "'{}:{}'", "'{0:>6}|{1!r}'", "'👋🏽'", "'a\\tb\\r\\nc'", "'items'",
               "'w.z'", "'ΑΣ'", "'İ'", "'ŉ ǆ'", "'{:,.2f}'", "'0x1f'", "'__class__'", "'append'", "'<&>'"]
    NUMBERS = ["0", "1", "2", "-1", "3", "10", "1.5", "0.1", "-2.5", "1e20", "100", "7", "1_000", "0x1F", "1e-7"]
    FILTERS = [("abs", 0), ("attr", 1), ("batch", 2), ("capitalize", 0), ("center", 1), ("count", 0), ("d", 2),
               ("default", 2), ("dictsort", 3), ("e", 0), ("escape", 0), ("first", 0), ("float", 1), ("format", 2),
               ("groupby", 2), ("indent", 3), ("int", 2), ("items", 0), ("join", 2), ("last", 0), ("length", 0),
               ("list", 0), ("lower", 0), ("map", 1), ("max", 2), ("min", 2), ("reject", 2), ("rejectattr", 3),
               ("replace", 3), ("reverse", 0), ("round", 2), ("safe", 0), ("select", 2), ("selectattr", 3),
               ("slice", 2), ("sort", 3), ("string", 0), ("sum", 2), ("title", 0), ("tojson", 0), ("trim", 1),
               ("truncate", 4), ("unique", 2), ("upper", 0), ("urlencode", 0), ("wordcount", 0), ("forceescape", 0)]
    KEYWORDS = {"default": ["boolean=true"], "join": ["attribute='k'", "d='-'"], "map": ["attribute='k'", "attribute='v', default=0"],
                "sort": ["reverse=true", "attribute='k'", "case_sensitive=true", "attribute='k,v'"],
                "unique": ["attribute='k'", "case_sensitive=true"], "tojson": ["indent=2", "sort_keys=true", "ensure_ascii=true", "separators=(',',':')", "indent=0"],
                "indent": ["first=true", "blank=true", "width=2"], "dictsort": ["by='value'", "reverse=true"],
                "groupby": ["attribute='k'", "'k'", "'v', default=0"], "round": ["method='floor'", "2, 'ceil'", "0"], "sum": ["attribute='v'", "start=1"],
                "max": ["attribute='v'"], "min": ["attribute='k'"], "trim": ["'a '"], "int": ["base=16", "default=-1"],
                "selectattr": ["'k', 'equalto', 'b'", "'v'", "'w', 'defined'", "'k', 'in', ['b']"],
                "rejectattr": ["'k', 'eq', 'b'", "'v', 'none'", "'w.z'"], "select": ["'odd'", "'string'", "'gt', 1"],
                "reject": ["'none'", "'in', [1]"], "batch": ["2", "2, 'x'"], "slice": ["2", "3, 'x'"], "truncate": ["5", "3, true", "6, false, '!', 0"],
                "replace": ["'a', 'bb'", "'', '-'", "'l', 'L', 1"], "attr": ["'x'", "'upper'"], "format": ["1, 2", "'a'", "x=1"]}
    TESTS = ["defined", "undefined", "none", "string", "number", "integer", "float", "boolean", "mapping", "sequence",
             "iterable", "callable", "odd", "even", "lower", "upper", "true", "false", "filter", "test", "escaped",
             "divisibleby 2", "sameas none", "in [1, 'a']", "eq 1", "ne 'a'", "lt 2", "ge(1)", "gt 0", "le 3", "equalto 'a'"]
    METHODS = ["upper()", "lower()", "strip()", "strip('a ')", "lstrip()", "rstrip('\\n')", "split()", "split(',')", "split('l', 1)",
               "rsplit(' ', 1)", "rsplit(None, 1)", "splitlines()", "splitlines(true)", "replace('l', 'LL')", "replace('', '.', 3)", "find('l')", "rfind('l')",
               "find('l', 3)", "count('l')", "index('H')", "startswith('He')", "startswith(('x', ' '))", "endswith('ß')", "title()",
               "capitalize()", "swapcase()", "isdigit()", "isalpha()", "isalnum()", "isspace()", "isupper()", "islower()", "istitle()", "isnumeric()",
               "zfill(8)", "ljust(9, '.')", "rjust(9)", "center(10, '*')", "partition(',')", "rpartition('l')", "join(m)", "format(1, 'a', x=2)",
               "removeprefix('He')", "removesuffix('ß')", "keys()", "values()", "items()", "get('x')", "get('q', 5)", "copy()",
               "append(1)", "pop()", "update({})", "index(1)", "count(1)", "expandtabs()", "casefold()", "bit_length()", "is_integer()", "encode", "__len__", "real"]
    OPS = ["+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or"]

    def __init__(self, r):
        self.r = r

    def pick(self, x):
        return self.r.choice(x)

    def atom(self):
        k = self.r.random()
        if k < 0.45:
            return self.pick(self.NAMES)
        if k < 0.7:
            return self.pick(self.STRINGS)
        return self.pick(self.NUMBERS)

    def expr(self, depth):
        r = self.r
        if depth <= 0:
            return self.atom()
        k = r.randrange(20)
        e = lambda: self.expr(depth - 1)
        if k < 4:
            return f"({e()} {self.operation(e)})"
        if k < 5:
            return f"{e()} {self.operation(e)} {self.operation(e)}"
        if k < 6:
            return f"({e()} if {e()}" + (f" else {e()})" if r.random() < 0.7 else ")")
        if k < 7:
            return self.pick(["-", "not ", "+"]) + e()
        if k < 9:
            return f"{self.postfix(depth)}.{self.pick(self.METHODS)}"
        if k < 11:
            i = [e() if r.random() < 0.6 else "" for _ in range(3)]
            if r.random() < 0.6:  # of names alone: Jinja slices constants by other rules
                return self.pick(["s", "t", "l", "m", "items", "(s ~ a)", "(l + [a])", "u", "d"]) + f"[{i[0]}:{i[1]}:{i[2]}]"
            return self.postfix(depth) + f"[{e()}]"
        if k < 12:
            return f"{self.postfix(depth)}.{self.pick(['x', 'y', 'items', 'k', 'nope', '_p'])}"
        if k < 16:
            name, most = self.pick(self.FILTERS)
            args = ""
            if name in self.KEYWORDS and r.random() < 0.7:
                args = f"({self.pick(self.KEYWORDS[name])})"
            elif most and r.random() < 0.7:
                args = "(" + ", ".join(e() for _ in range(r.randint(1, most))) + ")"
            return f"{self.postfix(depth)}|{name}{args}"
        if k < 17:
            return f"({e()} is {self.pick(['', 'not '])}{self.pick(self.TESTS)})"
        if k < 18:
            return "[" + ", ".join(e() for _ in range(r.randint(0, 3))) + "]"
        if k < 19:
            return "{" + ", ".join(f"{self.atom()}: {e()}" for _ in range(r.randint(0, 3))) + "}"
        return self.pick([f"({e()}, {e()})", f"range({e()})", f"dict(a={e()})", f"namespace(x={e()})", f"cycler({e()}, {e()}).next()",
                          f"range({e()}, {e()}, {e()})", f"joiner({e()})()"])

    def operation(self, e):
        op = self.pick(self.OPS)
        if op == "**":  # what takes Python for ever is no test
            return "** " + self.pick(["0", "1", "2", "3", "-1", "0.5", "a", "s", "u", "true"])
        return f"{op} {e()}"

    def postfix(self, depth):
        e = self.expr(depth - 1)
        return e if self.r.random() < 0.5 else f"({e})"

    def sign(self):
        return self.pick(["", "", "", "-", "+"])

    def block(self, s):
        return "{%" + self.sign() + " " + s + " " + self.sign() + "%}"

    def body(self, depth, loop):
        return "".join(self.stmt(depth - 1, loop) for _ in range(self.r.randint(1, 3)))

    def stmt(self, depth, loop=False):
        r, e = self.r, lambda: self.expr(2)
        k = r.randrange(24) if depth > 0 else r.randrange(8)
        if k < 2:
            return self.pick(["text", "\n", "  \n  ", " ", "a\n", "\n\n", "  ", "ü{", "\r\n", "\t\n"])
        if k < 6:
            if loop and r.random() < 0.5:
                e = lambda: "loop." + self.pick(["index", "index0", "first", "last", "length", "revindex", "previtem", "nextitem",
                                                 "cycle(1, 'b')", "depth", "changed(i)", "revindex0"])
            return "{{" + self.pick(["", "-", "+"]) .replace("+", "") + " " + e() + " " + self.pick(["", "-"]) + "}}"
        if k < 7:
            return "{#" + self.sign() + " c " + self.sign() + "#}"
        if k < 8:
            return self.block(f"set {self.pick(['a', 'b', 'q', 'q, w', 'ns.x', 'ns.a', 's', 'zz'])} = {e()}")
        b = lambda inside=loop: self.body(depth, inside)
        if k < 11:
            out = self.block(f"if {e()}") + b()
            if r.random() < 0.4:
                out += self.block(f"elif {e()}") + b()
            if r.random() < 0.5:
                out += self.block("else") + b()
            return out + self.block("endif")
        if k < 16:
            target, it = self.pick([("i", e()), ("i", "l"), ("i", "items"), ("k, v", "d.items()"), ("i", "range(3)"), ("k, v", "d|items"),
                                    ("i", "items|selectattr('v')"), ("a", "m|map('upper')"), ("i", "[[1, [2]], [3]]")])
            test = f" if {self.pick([e(), 'i', 'i != 1', 'loop', 'i is odd'])}" if r.random() < 0.3 else ""
            rec = " recursive" if r.random() < 0.15 else ""
            out = self.block(f"for {target} in {it}{test}{rec}") + b(True)
            if rec and r.random() < 0.7:
                out += "{{ loop(i) if i is sequence and i is not string }}"
            if r.random() < 0.2:
                out += self.block(f"if {self.pick(['loop.first', 'i', e()])}") + self.block(self.pick(["break", "continue"])) + self.block("endif")
            if r.random() < 0.3:
                out += self.block("else") + b()
            return out + self.block("endfor")
        if k < 18:
            name = self.pick(["f1", "f2"])
            args = self.pick(["", "p", "p, q=1", "p=a, q=p", "a", "p, q"])
            call = self.pick(["", "1", "1, 2", "p=1", "1, q=3", "q=2", "1, 2, 3", "*l", "**d", "x=1"])
            extra = self.pick(["", "", "{{ varargs }}", "{{ kwargs }}", "{{ caller() }}"])
            out = self.block(f"macro {name}({args})") + "{{ p }}{{ q }}" + b(False) + extra + self.block("endmacro")
            if r.random() < 0.25:
                return out + self.block(f"call {name}({call})") + b(False) + self.block("endcall")
            return out + "{{ " + f"{name}({call})" + self.pick(["", "|upper", " ~ 'x'", "|length"]) + " }}"
        if k < 19:
            return self.block(f"with a = {e()}, z = a") + b() + "{{ z }}" + self.block("endwith")
        if k < 20:
            return self.block("set q" + self.pick(["", " | upper", "|trim|length"])) + b() + self.block("endset") + "{{ q }}"
        if k < 21:
            return self.block("filter " + self.pick(["upper", "trim", "replace('a', 'b')", "indent(2)|title"])) + b() + self.block("endfilter")
        if k < 22:
            return self.block("raw") + self.pick(["{{ x }}", " {% if %}\n", "\n a \n"]) + self.block("endraw")
        if k < 23:
            return self.block("set ns = namespace(x=0, a=" + e() + ")") + b() + "{{ ns.x }}{{ ns }}"
        return self.block("generation") + b(False) + self.block("endgeneration")

    def template(self):
        if self.r.random() < 0.5:
            return "{{ " + self.expr(self.r.choice([1, 1, 2, 2, 2, 3, 4])) + " }}"
        return "".join(self.stmt(3) for _ in range(self.r.randint(1, 5)))


# What the language does, one thing each; the variables are Writer.VARS.
LANGUAGE = r"""
a{{ 1 }}b
  {%- if true -%}  x  {%- endif -%}  y
{% if true %}\nx\n{% endif %}\ny
  {% if true %}  \n  x{% endif %}
  {%+ if true %}\nx{% endif %}
{% if true +%}\nx{% endif %}
{{ 1 }}\n\n
a\n{# c #}\nb
a\n  {# c #}  \nb{#- d -#} c
a\r\nb\rc
{% raw %}{{ x }}{% endraw %}|{%- raw -%} a {%- endraw -%} b
  {% raw %}\n a {% endraw %}\nb
{{ 'a\n\t\\\'\"\x41\u00e9\101\q\é' }}
{{ 'a' 'b' "c" }}
{{ 1_000 + 0x1F + 0b101 + 0o17 }} {{ 1.5e3 }} {{ 1e-7 }} {{ .5 }}
{{ 12345678901234567890 * 98765432109876543210 }} {{ n // 7 }} {{ n % -7 }} {{ -n }} {{ 2 ** 200 }}
{{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % -3 }} {{ -7.5 // 2 }} {{ 7.5 % -2 }} {{ 1 / 2 }} {{ 4 / 2 }} {{ 2 ** -1 }} {{ 2 ** 3 ** 2 }} {{ -2 ** 2 }}
{{ 1 / 0 }}
{{ true + 1 }} {{ true == 1 }} {{ 1 == 1.0 }} {{ [1] == [1.0] }} {{ (1,) == [1] }} {{ {'a': 1} == {'a': 1.0} }}
{{ 1 < 2 < 3 }} {{ 1 < 3 > 2 }} {{ 'a' < 'b' }} {{ [1, 2] < [1, 3] }} {{ (1, 'a') < (2, none) }}
{{ 1 < 'a' }}
{{ 'ell' in s }} {{ 'z' not in s }} {{ 1 in l }} {{ 'x' in d }} {{ 'x' in d.keys() }} {{ none in [none] }} {{ 1 in u }}
{{ 1 in 'a' }}
{{ 0 or 'x' }} {{ '' and 1 }} {{ [] or {} }} {{ not '' }} {{ 1 and 2 or 3 }} {{ none or none }}
{{ 'x' if a else 'y' }} {{ 'x' if false }}| {{ ('x' if false) is defined }}
{{ u }}|{{ u.x is defined if u is defined }}|{{ u is undefined }}|{{ u | default('d') }}|{{ u ~ 1 }}|{{ u == v }}
{{ u.x }}
{{ u + 1 }}
{{ u() }}
{{ d.q.r }}
{{ d.q }}|{{ d['q'] }}|{{ d.x }}|{{ d['items'] }}|{{ d.items is callable }}|{{ l.q }}|{{ l[10] }}|{{ l['x'] }}
{{ l[0] }}{{ l[-1] }}{{ l[1:] }}{{ l[:-1] }}{{ l[::-1] }}{{ l[::2] }}{{ l[5:] }}{{ l[-10:2] }}
{{ s[0] }}{{ s[-1] }}{{ s[7:12] }}{{ s[::-1] }}{{ s[8] }} {{ s | length }}
{{ (1, 2, 3)[1:] }} {{ () }} {{ (1,) }} {{ 1, 2 }} {{ range(5)[1:3] }} {{ range(10)[-1] }} {{ range(5, 0, -2) | list }}
{{ [1, 'a', none, true, 2.0, {'k': (1,)}, u] }} {{ 'it\'s' }} {{ ['it\'s', 'a"b\'c', '\n\t\x00\x7fé\u200b'] }}
{{ {'a': 1, 2: [], none: 'x', true: 0.1} }} {{ {1: 'a', 1.0: 'b', true: 'c'} }}
{{ {[]: 1} }}
{{ 'a' * 3 }} {{ [0] * 2 }} {{ 'ab' + 'c' }} {{ [1] + [2] }} {{ (1,) + (2,) }} {{ 3 * 'x' }} {{ 'x' * -1 }}|
{{ 'a' + 1 }}
{{ [1] + (2,) }}
{{ 1 ~ 'a' ~ none ~ [1] ~ 1.0 }}
{{ '%s is %05.2f, %d, %r, %%, %x' % ('a', 3.14159, 42, 'q', 255) }} {{ '%(a)s' % {'a': 1} }} {{ '%-5s|%5s' | format('a', 'b') }}
{{ '%d' % 'a' }}
{{ '%s' % (1, 2) }}
{{ '{} {1}'.format(1, 2) }}
{{ '{0} {x!r:>6} {y[k]} {z.real:04d} {{}}'.format(1, x='a', y={'k': 2}, z=3) }}
{% set x = 1 %}{% for i in [1, 2] %}{{ x }}{% set x = 5 %}{{ x }}{% endfor %}{{ x }}
{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}
{% for i in [1, 2] %}{{ y }}{% endfor %}{% set y = 1 %}{{ y }}
{% for i in l %}{{ a }}{% endfor %}{% set a = 'later' %}{{ a }}
{% if false %}{% set a = 9 %}{% endif %}{{ a }}
{{ a }}{% set a = 9 %}{{ a }}
{% macro f() %}{{ a }}{% endmacro %}{% set a = 1 %}{{ f() }}{% set a = 2 %}{{ f() }}
{% macro f(x, y=x, z='d') %}{{ x }}-{{ y }}-{{ z }};{% endmacro %}{{ f() }}{{ f(1) }}{{ f(1, 2, 3) }}{{ f(z=1, x=2) }}{{ f(*[1, 2]) }}{{ f(**{'y': 3}) }}
{% macro f(x) %}{{ x }}{% endmacro %}{{ f(1, 2) }}
{% macro f(x) %}{{ x }}{% endmacro %}{{ f(y=2) }}
{% macro f(x) %}{{ x }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1, 2, 3, k=4) }} {{ f.name }} {{ f.arguments }} {{ f }}
{% macro f(x) %}[{{ caller(x) }}]{% endmacro %}{% call(y) f(2) %}{{ y }}{{ a }}{% endcall %}
{% macro f() %}{{ caller() }}{% endmacro %}{{ f() }}
{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }}
{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(5) }}
{% for i in [1, 2, 3] %}{{ loop.index }}{{ loop.index0 }}{{ loop.first }}{{ loop.last }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.length }}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.depth }};{% endfor %}
{% for i in l if i > 1 %}{{ i }}{{ loop.length }}{{ loop.last }} {% else %}none{% endfor %}{% for i in [] %}{% else %}empty{% endfor %}
{% for i in l %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% else %}no{% endfor %}|{% for i in l %}{% if i == 1 %}{% continue %}{% endif %}{{ i }}{% endfor %}|{% for i in l %}{% continue %}{% else %}else{% endfor %}
{% for k, v in d.items() %}{{ k }}={{ v }} {% endfor %}{% for k, (x, y) in [(1, (2, 3))] %}{{ k }}{{ x }}{{ y }}{% endfor %}
{% for k, v in [1] %}{% endfor %}
{% for k, v in [[1]] %}{% endfor %}
{% for i in 5 %}{% endfor %}
{% for i in u %}x{% else %}none{% endfor %}{% for c in 'aé' %}{{ c }},{% endfor %}{% for k in d %}{{ k }}{% endfor %}
{% for i in [1, [2, [3]]] recursive %}{% if i is iterable %}<{{ loop(i) }}>{% else %}{{ i }}{{ loop.depth }}{% endif %}{% endfor %}
{% for i in [1, 1, 2] %}{{ loop.changed(i) }}{{ loop.cycle('a', 'b') }}{% endfor %}
{% for i in [1, 2] %}{% for j in [3] %}{{ loop.index }}{{ i }}{{ j }}{% endfor %}{{ loop.index }}{% endfor %}{{ loop is defined }}
{% for loop in l %}{% endfor %}
{% set ns = namespace(x=1) %}{% for i in l %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }} {{ ns }} {{ ns.y }}|{{ ns['x'] }}
{% set ns = namespace() %}{% set ns.a, b = 1, 2 %}{{ ns.a }}{{ b }}
{% set d.x = 1 %}
{% set ns = namespace() %}{% set ns._a = 1 %}
{% set x, y = [1, 2] %}{{ x }}{{ y }}{% set z = 1, 2 %}{{ z }}
{% set x %}a{{ 1 }} {% endset %}[{{ x }}]{% set y | trim | upper %} b {% endset %}[{{ y }}]
{% with x = 1, y = x %}{{ x }}{{ y }}{% endwith %}{{ x }}
{% filter upper | replace('A', 'b') %}a{{ s }}{% endfilter %}
{% generation %}x{% set q = 1 %}{% endgeneration %}{{ q }}
{% print 1, 2 %}
{% do l.append(1) %}
{{ l.append(1) }}
{{ d.pop is defined }} {{ d.pop }}|{{ s.__class__ }}|{{ s._x }}|{{ d.__class__ }}|
{{ d.update({}) }}
{{ d.keys() }} {{ d.values() }} {{ d.items() }} {{ d.get('x') }} {{ d.get('q') }} {{ d.get('q', 1) }} {{ d.copy() == d }}
{{ l.index(1) }} {{ l.count(1) }} {{ l.copy() }} {{ l is sequence }}
{{ range(3) }} {{ range(1, 5, 2) | list }} {{ range(3) | length }} {{ 2 in range(3) }} {{ range(100001) }}
{{ dict(a=1, **{'b': 2}) }} {{ dict([('x', 1)]) }} {{ dict(d)['x'] }}
{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.reset() }}{{ c.current }} {% set j = joiner('|') %}{{ j() }}{{ j() }}{{ j() }}
{{ raise_exception('no') }}
{{ strftime_now('%Y-%m-%d %H:%M:%S %a %A %b %B %d %j %p %I %y %% %w %U %e %-d') }}
{{ [{'a': 1, 'b': [true, none, 1.5, 'é"\\\u2028</'], 'c': {}, 'd': []}] | tojson }}
{{ items | tojson(indent=2) }} {{ items | tojson(indent=2, separators=(',', ':')) }} {{ {'b': 1, 'a': 'é'} | tojson(sort_keys=true, ensure_ascii=true) }} {{ {1: 2, none: 3, true: 1.0} | tojson }} {{ '<&>' | tojson }}
{{ u | tojson }}
{{ range(3) | tojson }}
{{ '  a ' | trim }}|{{ 'xax' | trim('x') }}|{{ 5 | trim }}|{{ ' \u00a0\u200b ' | trim | length }}
{{ [1, 2] | join }} {{ [1, none, 'a'] | join(', ') }} {{ items | join('-', attribute='k') }} {{ 'abc' | join('.') }} {{ u | join }}|{{ d | join(',') }}
{{ 'hello wORLD-foo (bar)' | title }} {{ 'hELLO' | capitalize }} {{ 'ß' | upper }} {{ 'ΑΣ ΑΣΑ' | lower }} {{ s.title() }} {{ 'it\'s'.title() }}
{{ 'aaa' | replace('a', 'b', 2) }} {{ 'abc' | replace('', '-') }} {{ 123 | replace(2, 'x') }}
{{ l | first }} {{ l | last }} {{ [] | first }}| {{ [] | last }}| {{ 'é!' | first }} {{ d | first }} {{ d.items() | list | last }}
{{ 'abc' | list }} {{ d | list }} {{ 5 | string }} {{ l | string }} {{ none | string }}
{{ '42' | int }} {{ '4.7' | int }} {{ 'x' | int }} {{ 'x' | int(5) }} {{ '0x1f' | int(base=16) }} {{ none | int }} {{ 3.9 | int }} {{ '1e3' | int }} {{ ' 7 ' | int }} {{ '3.5' | float }} {{ 'x' | float }} {{ '1_0' | float }} {{ true | float }}
{{ d | items | list }} {{ d | dictsort }} {{ {'b': 1, 'A': 2} | dictsort }} {{ {'b': 1, 'A': 2} | dictsort(true) }} {{ {'b': 1, 'a': 2} | dictsort(by='value', reverse=true) }}
{{ items | map(attribute='k') | list }} {{ l | map('string') | join }} {{ m | map('upper') | list }} {{ items | map(attribute='w.z', default='-') | list }} {{ m | map('replace', 'a', 'x') | list }}
{{ l | select('odd') | list }} {{ l | reject('gt', 1) | list }} {{ items | selectattr('v') | list | length }} {{ items | selectattr('k', 'equalto', 'b') | map(attribute='v') | list }} {{ items | rejectattr('v', 'none') | list | length }} {{ [0, 1, ''] | select | list }}
{{ l | sort }} {{ l | sort(reverse=true) }} {{ m | sort }} {{ m | sort(case_sensitive=true) }} {{ items | sort(attribute='k') | map(attribute='k') | join }} {{ [(2, 'a'), (1, 'b')] | sort }}
{{ [1, 'a'] | sort }}
{{ l | unique | list }} {{ m | unique | list }} {{ items | unique(attribute='k') | map(attribute='k') | list }}
{{ l | reverse | list }} {{ 'abc' | reverse }} {{ l | sum }} {{ items | map(attribute='v') | select | sum }} {{ [[1], [2]] | sum(start=[]) }} {{ l | min }} {{ l | max }} {{ m | max }} {{ [] | max }}|
{{ 2.5 | round }} {{ 3.5 | round }} {{ 2.567 | round(2) }} {{ 2.1 | round(method='ceil') }} {{ 27 | round(-1) }} {{ 2.5 | round | int }} {{ -3 | abs }} {{ 1.25 | round(1, 'floor') }}
{{ 'a\nb\n\nc' | indent }}|{{ 'a\nb' | indent(2, true) }}|{{ 'a\n\nb' | indent('> ', blank=true) }}|{{ 'a\n' | indent }}|
{{ '<a b="c">&\'' | e }} {{ ('<' | safe) + '<' }} {{ '<' | e | e }} {{ ('<' | safe) is escaped }} {{ '<' | forceescape }}
{{ l | batch(2) | list }} {{ l | batch(3, 'x') | list }} {{ l | slice(3) | list }} {{ l | slice(3, 'x') | list }}
{% for g, xs in items | groupby('k') %}{{ g }}:{{ xs | length }} {% endfor %}{{ (items | groupby('k'))[0].grouper }} {{ (items | groupby('k') | first).list | length }} {{ items | groupby('v', default=0) | length if false }}
{{ 'a b-c d_e' | wordcount }} {{ 'a b&c/é' | urlencode }} {{ {'a': 'b c', 'd': 1} | urlencode }} {{ 'hello world foo' | truncate(11) }} {{ 'hello world foo' | truncate(9, true, '..', 0) }} {{ 'ab' | center(7) }}|
{{ l | map('nope') | list }}
{{ l | nope }}
{% if false %}{{ l | nope }}{% endif %}ok
{{ l is nope }}
{{ 1 is odd }}{{ 2 is even }}{{ 9 is divisibleby 3 }}{{ s is string }}{{ l is iterable }}{{ d is mapping }}{{ 1.0 is float }}{{ 1 is integer }}{{ true is integer }}{{ true is boolean }}{{ 1 is number }}{{ none is none }}{{ a is defined }}{{ 'a' is lower }}{{ 'A' is upper }}{{ 1 is sameas 1 }}{{ 1 is in [1] }}{{ 1 is not in [1] }}{{ 1 is eq 1 }}{{ 1 is lt 2 }}{{ 'upper' is filter }}{{ 'odd' is test }}{{ range is callable }}
{{ a is not defined }}{{ not a is defined }}{{ (a is string) or a is number }}{{ a is string or true }}
{{ 'a,b,,c'.split(',') }} {{ ' a  b '.split() }} {{ 'a b c'.split(' ', 1) }} {{ 'a b c'.rsplit(' ', 1) }} {{ ' a b '.rsplit(none, 1) }} {{ ''.split() }} {{ ''.split(',') }} {{ 'a\nb\r\nc\x0bd'.splitlines() }} {{ 'a\n'.splitlines(true) }}
{{ 'aXbX'.strip('X') }} {{ 'abcabc'.find('c') }} {{ 'abc'.find('z') }} {{ 'abcabc'.rfind('c', 0, 5) }} {{ 'aaa'.count('a') }} {{ 'abc'.startswith(('x', 'a')) }} {{ 'abc'.endswith('bc', 2) }} {{ 'a-b-c'.partition('-') }} {{ 'a-b-c'.rpartition('-') }} {{ '-'.join(['a', 'b']) }} {{ '7'.zfill(3) }} {{ '-7'.zfill(4) }} {{ 'ab'.removeprefix('a') }} {{ 'aB'.swapcase() }}
{{ 'abc'.index('z') }}
{{ '-'.join([1]) }}
{{ 'ab'.isalpha() }}{{ '12'.isdigit() }}{{ '²'.isdigit() }}{{ '²'.isdecimal() }}{{ '½'.isnumeric() }}{{ ' '.isspace() }}{{ 'aB'.islower() }}{{ 'Ab Cd'.istitle() }}{{ ''.isalnum() }}{{ 'é1'.isalnum() }}
{{ '👋🏽é'[1] }} {{ '👋🏽é' | length }} {{ '👋🏽é'[::-1] | length }} {{ ['👋🏽'] }}
{{ a.real }} {{ f.is_integer() }} {{ a.bit_length() }} {{ n }} {{ f }} {{ 1e16 }} {{ 1e15 }} {{ 0.1 + 0.2 }} {{ 100000000000000000000.0 }} {{ 1e22 }} {{ 5e-324 }}
{{ none.x }}|{{ none | default('d') }}|{{ none | default('d', true) }}|{{ none ~ '' }}
{{ -1 | abs }} {{ (-1) | abs }} {{ 1 if true else 2 | string ~ 'x' }} {{ 1 + 2 ~ 3 }} {{ 2 * 3 ~ 4 }} {{ not 1 == 2 }} {{ 1 == 2 is false }}
{{ l.0 }} {{ items.0.k }} {{ items[0]['w'].z }} {{ (items | first).k }} {{ d.y.1 }}
{{ foo
{% if %}
{% endif %}
{% for %}
{% if true %}
{% unknown %}
{{ 1 2 }}
{{ [1, }}
{{ (1 }}
{{ 'a }}
{# a
{% raw %}
{{ 1 = 2 }}
{% set 1 = 2 %}
{% break %}
{{ a ! b }}
{{ f(a=1, 2) }}
{{ f(a=1, a=2) }}
{% macro f(a=1, b) %}{% endmacro %}
{% include 'x' %}
{{ }}
{{ '\x4' }}
{% else %}
""".strip("\n").split("\n")


def language():
    """(template, text or None) of the lines above and of random templates."""
    import warnings
    warnings.simplefilter("ignore")
    utils, cases = prepare(), []

    def add(template):
        request = {"template": template, "messages": [user("x")], "now": NOW, "variables": Writer.VARS}
        want = by_transformers(utils, request)
        if want.get("text") is None and want["error"].startswith("RuntimeError"):
            raise SystemExit(f"{template}: {want}")
        cases.append([template, want.get("text")])

    for line in LANGUAGE:
        add(line.replace("\\n", "\n").replace("\\r", "\r").replace("\\t", "\t") if "{{ '" not in line and "['" not in line else line)
    n, texts = len(cases), 0
    for i in range(100000):
        if texts == 700:
            break
        template = Writer(random.Random(f"golden-{i}")).template()
        if len(template) > 400 or "|attr" in template:
            continue
        add(template)
        text = cases[-1][1]
        shown = (text or "").lower()
        if (text is None and i % 10) or len(shown) > 400 or "obj" in shown or "function" in shown or "built" in shown:
            cases.pop()
        else:
            texts += text is not None
    return cases, n


def write(path, value):
    path.write_text(json.dumps(value, ensure_ascii=True, indent=None, separators=(",", ":")).replace('],["', '],\n["').replace('},{"', '},\n{"') + "\n")


def goldens():
    utils, cases = prepare(), []
    folder = ROOT / "test/jinja/templates"
    for path in sorted(folder.glob("*.jinja")):
        source = path.read_text()
        for i, (title, messages) in enumerate(CONVERSATIONS.items()):
            for settings in (VARIANTS[0], VARIANTS[1 + i % (len(VARIANTS) - 1)]):
                request = {"template": source, "messages": messages, "now": NOW, "spans": "generation %}" in source, **TOKENS, **settings}
                want = by_transformers(utils, request)
                case = {"template": path.name, "conversation": title, **settings, "text": want.get("text")}
                if want.get("spans"):
                    at = [len(want["text"][:k].encode()) for k in range(len(want["text"]) + 1)]
                    case["spans"] = [[at[a], at[b]] for a, b in want["spans"] if b > a]
                cases.append(case)
    write(folder / "chat.json", {"now": NOW, "tokens": TOKENS, "conversations": CONVERSATIONS, "cases": cases})
    found, by_hand = language()
    write(folder / "language.json", {"now": NOW, "variables": Writer.VARS, "cases": found})
    print(f"{len(cases)} conversations, {sum(c['text'] is not None for c in cases)} of them rendered; "
          f"{len(found)} templates ({by_hand} by hand), {sum(t is not None for _, t in found)} rendered")


def fuzz(seconds, driver, seed, stop_after):
    import warnings
    warnings.simplefilter("ignore")
    utils, hone = prepare(), Driver(driver)
    end, n, n_text, n_skipped, wrong = time.time() + seconds, 0, 0, 0, 0
    while time.time() < end and wrong < stop_after:
        r = random.Random(f"{seed}-{n}")
        template = Writer(r).template()
        request = {"template": template, "messages": [user("x")], "now": NOW, "variables": Writer.VARS}
        n += 1
        want = by_transformers(utils, request)
        if n % 2000 == 0:
            utils._compile_jinja_template.cache_clear()
        shown = want.get("text", "").lower()
        if " at 0x" in shown or "|attr" in template or "built-in" in shown or "generator obj" in shown:
            n_skipped += 1  # the text shows a Python object's address
            continue
        got = hone.ask(request)
        n_text += "text" in want
        if not same(want, got):
            wrong += 1
            print(f"--- seed {seed}-{n - 1}\n{template}\n  transformers: {json.dumps(want, ensure_ascii=False)[:600]}"
                  f"\n  hone:         {json.dumps(got, ensure_ascii=False)[:600]}", flush=True)
    print(f"{n} templates, {n_text} rendered, {n_skipped} skipped, {wrong} differ")
    return wrong


def tables():
    """src/jinja/jinja_case_table.c: letters whose case mapping is more than one code point, and the code
    points that Python takes for digits and numerals beyond Unicode's categories Nd, Nl and No."""
    import unicodedata
    points = [chr(c) for c in range(0x110000) if not 0xd800 <= c < 0xe000]

    def mappings(name, f):
        def quoted(t):
            return "".join("\\x%02x" % b for b in t.encode())
        rows = ['    {0x%x, "%s"},\n' % (ord(c), quoted(f(c))) for c in points if len(f(c)) > 1]
        return f"const struct hn_jcase_row hn_jcase_{name}[] = {{\n{''.join(rows)}}};\n" \
               f"const size_t hn_jcase_n_{name} = HN_COUNT(hn_jcase_{name});\n\n"

    def ranges(name, test):
        out, last = [], None
        for c in map(ord, filter(test, points)):
            if last is not None and c == last + 1:
                out[-1][1] = c
            else:
                out.append([c, c])
            last = c
        rows = "".join(f"    {{0x{a:x}, 0x{b:x}}},\n" for a, b in out)
        return f"const struct hn_jcase_range hn_jcase_{name}[] = {{\n{rows}}};\n" \
               f"const size_t hn_jcase_n_{name} = HN_COUNT(hn_jcase_{name});\n\n"

    text = ("/* Written by tools/make_chat_goldens.py --tables from Python's unicodedata "
            f"{unicodedata.unidata_version}; do not edit. */\n"
            '#include "jinja/jinja_case_table.h"\n\n'
            + mappings("upper", str.upper) + mappings("title", str.title)
            + ranges("digit", lambda c: c.isdigit() and not c.isdecimal())
            + ranges("numeric", lambda c: c.isnumeric() and unicodedata.category(c) not in ("Nd", "Nl", "No")))
    path = ROOT / "src/jinja/jinja_case_table.c"
    path.write_text(text.rstrip() + "\n")
    subprocess.run(["clang-format", "-i", path], check=True)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--tables", action="store_true")
    p.add_argument("--check")
    p.add_argument("--fuzz", type=float)
    p.add_argument("--seed", default="0")
    p.add_argument("--stop-after", type=int, default=20)
    p.add_argument("--driver")
    p.add_argument("--verbose", action="store_true")
    a = p.parse_args()
    if a.tables:
        tables()
        return 0
    if a.check:
        return 1 if check(a.check, a.driver, a.verbose) else 0
    if a.fuzz:
        return 1 if fuzz(a.fuzz, a.driver, a.seed, a.stop_after) else 0
    goldens()
    return 0


if __name__ == "__main__":
    sys.exit(main())
