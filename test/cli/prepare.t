# Records in, training data out.
$ printf '%s\n' '{"task": "t", "instruction": "i", "response": "r", "response_json": {"a": 1}}' '{"instruction": "j"}' > a.jsonl
$ printf '%s\n' '{"text": "one"}' '{"text": ""}' '{"text": "one"}' > b.jsonl
$ hone prepare --input a.jsonl b.jsonl --output out.jsonl --no-shuffle
  a.jsonl     2  task rows
  b.jsonl     2  text rows
  training    4  rows
  empty       1  rows left out
  duplicates  1  rows that were met before
...
wrote out.jsonl
$ cat out.jsonl
{"text": "### TASK: t\n### INSTRUCTION:\ni\n### RESPONSE:\nr\n### RESPONSE_JSON:\n{\n  \"a\": 1\n}"}
{"text": "### TASK: UNKNOWN\n### INSTRUCTION:\nj\n### RESPONSE:\n"}
{"text": "one"}
{"text": "one"}
$ hone prepare a.jsonl -o dir --valid-fraction 0.5 --json | grep -oE '"(train|valid|test)_rows": [0-9]+'
"train_rows": 1
"valid_rows": 1
"test_rows": 0
$ ls dir
train.jsonl
valid.jsonl
$ hone prepare b.jsonl --preview 1 --model $TEST/golden/llama-tied
---- b.jsonl, line 1 (text): 4 tokens, 3 with loss
o[ne<|end|>]
$ echo '{"task": 1}' > bad.jsonl; hone prepare bad.jsonl -o x.jsonl; ls x.jsonl
2> hone: bad.jsonl, line 1: "task": found an integer, expected a string
2> ls: * (glob)
? 2
$ hone prepare none.jsonl -o x.jsonl
2> hone: *none.jsonl* (glob)
? 1
