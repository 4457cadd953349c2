#!/usr/bin/env python3
"""Write test/data/task_in.jsonl and task_out.jsonl: task records of every awkward kind, and the rows
that Python makes of them, byte for byte.

    python3 tools/make_record_goldens.py

Needs nothing but Python 3.  task_in.jsonl is JSON as other writers may write it (number texts, repeated
keys and escapes that json.dumps would not produce), so its lines are put together by hand below.
"""

import json
import random
from pathlib import Path

NUMBERS = """0 -0 1 -1 7 10 123456789 2147483648 9007199254740993 9223372036854775807 9223372036854775808
-9223372036854775808 -9223372036854775809 123456789012345678901234567890 0.0 -0.0 0.1 0.5 1.0 1.5 2.50 100.0 1e0 1E5
1e5 1E+5 1e-5 1e-4 0.0001 0.00001 0.00012345 123456.789 1e15 1e16 1e17 1e21 1e22 1e23 123456789012345680.0
1234567890123456.7 9999999999999998.0 99999999999999990.0 5e-324 2.2250738585072014e-308 4.9406564584124654e-324
1.7976931348623157e308 1.7976931348623159e308 1e309 -1e400 1e-400 0.30000000000000004 2.675 1.005 8.41 1.1e1 3.14159265358979323846
9007199254740992.5 1e-7 12e-8 1.0000000000000002 0.1e1 1e00005 1e-00005 NaN Infinity -Infinity""".split()
STRINGS = ['""', '"a"', '"caf\\u00e9"', '"café"', '"東京"', '"\\ud83d\\ude00"', '"😀"', '"\\ud800"', '"\\udfff x"', '"\\udc00\\ud800"',
           '"\\u0000"', '"\\u0001\\u001f\\u007f"', '"\x7f"', '"\\/"', '"\\\\"', '"\\"q\\""', '"\\b\\f\\n\\r\\t"', '"\\u2028\\u2029"', '"\u2028"',
           '"\\uD83D\\uDE00"', '"\ufeff"', '"\\ufffe\\uffff"', '"\U0010ffff"', '"</script>"', '"İı"', '"e\u0301"', '"\\u00AD"']
OTHERS = ["true", "false", "null", "[]", "{}", "[[]]", "[{}]", '{"":""}', '{"a":{}}', '{"a":[],"b":{}}', "[[],[[]],{}]", "[ 1 ,2 ]",
          '{"a":1,"b":2,"a":3}', '{"\\u0061":1,"a":2}', '{"é":1,"e\u0301":2}', '{"k":{"k":{"k":[{"k":null}]}}}', '{"a":[1,{"b":[true,[false]]}]}',
          '{"z":1,"y":2,"x":3}', '{"1":1,"01":2}', '{"a b":1,"a\\nb":2}', '{ "s" : "x" , "t" : [ "y" ] }']


def value(r, depth):
    kind = r.random()
    if depth > 3 or kind < 0.3:
        return r.choice(NUMBERS)
    if kind < 0.5:
        return r.choice(STRINGS)
    if kind < 0.6:
        return r.choice(OTHERS)
    space = r.choice(["", "", " ", "\t"])
    n = r.choice([0, 1, 2, 3])
    if kind < 0.8:
        return "[" + space + ("," + space).join(value(r, depth + 1) for _ in range(n)) + "]"
    return "{" + ",".join(space + r.choice(STRINGS) + space + ":" + value(r, depth + 1) for _ in range(n)) + "}"


def rows():
    yield '{"task":"t","instruction":"i","context":"c","response":"r","response_json":{"a":1}}'
    yield '{"task":"t","instruction":"i","response":"r"}'
    yield '{"task":null,"instruction":"i","context":null,"response":"r","response_json":null}'
    yield '{"instruction":"i","response":"r"}'
    yield '{"task":""}'
    yield '{"task":"t"}'
    yield '{"task":"t","context":""}'
    yield '{"task":"t","context":" ","response":"\\n"}'
    yield '{"task":"t","response_json":{}}'
    yield '{"task":"t","response_json":[]}'
    yield '{"task":"t","response_json":[{}]}'
    yield '{"response":"r","extra":[1,2],"instruction":"i","task":"a","task":"b"}'
    yield '  {"task" : "t" , "instruction" : "i\\u0000j" }  '
    yield '{"task":"### RESPONSE:\\n","instruction":"### RESPONSE:\\n"}'
    yield "\ufeff" + '{"task":"t","instruction":"byte order mark"}'
    text = [s for s in STRINGS if "\\ud800" not in s and "\\udfff" not in s]
    for s in text:
        yield f'{{"task":{s},"instruction":{s},"context":{s},"response":{s},"response_json":{{"s":{s}}}}}'
    for v in NUMBERS + STRINGS + OTHERS:
        yield f'{{"task":"v","response":"r","response_json":[{v}]}}'
    yield '{"task":"deep","response_json":' + "[" * 100 + "]" * 100 + "}"
    r = random.Random(11)
    for _ in range(150):
        yield f'{{"task":"random","response":"r","response_json":[{value(r, 0)},{{"k":{value(r, 0)}}}]}}'


def text(line):
    item = json.loads(line.lstrip("\ufeff"))
    task = item.get("task")
    get = lambda key: item.get(key) or ""
    out = f"### TASK: {'UNKNOWN' if task is None else task}\n### INSTRUCTION:\n{get('instruction')}"
    if get("context"):
        out += f"\n### CONTEXT:\n{get('context')}"
    out += f"\n### RESPONSE:\n{get('response')}"
    if item.get("response_json"):
        out += f"\n### RESPONSE_JSON:\n{json.dumps(item['response_json'], indent=2)}"
    return out


def main():
    folder = Path(__file__).resolve().parent.parent / "test" / "data"
    lines = list(rows())
    (folder / "task_in.jsonl").write_bytes("".join(x + "\n" for x in lines).encode())
    (folder / "task_out.jsonl").write_bytes("".join(json.dumps({"text": text(x)}) + "\n" for x in lines).encode())


if __name__ == "__main__":
    main()
