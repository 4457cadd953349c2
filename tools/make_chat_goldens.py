#!/usr/bin/env python3
"""Goldens of test/text/test_chat.c, from transformers; and comparisons of hone with it.

  make_chat_goldens.py                        write test/text/jinja/*.json anew
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


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--check")
    p.add_argument("--driver")
    p.add_argument("--verbose", action="store_true")
    a = p.parse_args()
    if a.check:
        return 1 if check(a.check, a.driver, a.verbose) else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
