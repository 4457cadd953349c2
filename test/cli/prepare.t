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
(what is trained is between [ and ])
---- b.jsonl, line 1 (text): 4 tokens, 3 with loss
o[ne<|end|>]
$ echo '{"task": 1}' > bad.jsonl; hone prepare bad.jsonl -o x.jsonl; ls x.jsonl
2> hone: bad.jsonl, line 1: "task": found an integer, expected a string
2> ls: * (glob)
? 2
$ hone prepare none.jsonl -o x.jsonl
2> hone: *none.jsonl* (glob)
? 1
# Rows of other layouts: arrays, comma- and tab-separated cells, by the names of a folder too.
$ printf 'instruction,input,output\nAdd,"1, 2",3\n' > r.csv; printf '[\n {"text": "one"},\n {"text": "two"}\n]\n' > r.json; hone prepare r.csv r.json -o r.jsonl --no-shuffle | head -2; tail -2 r.jsonl
  r.csv     1  alpaca rows
  r.json    2  text rows
{"text": "one"}
{"text": "two"}
$ mkdir d; cp r.json d/train.json; printf 'text\nthree\n' > d/validation.csv; hone train --model $TEST/golden/llama-tied --data d --max-steps 1 | grep -E '^(training|validation)'
training     2 rows, 8 tokens (6 with loss), longest row 4
validation   1 row, 6 tokens (5 with loss), longest row 6
$ printf '[{"text": "one"},\n{"text": 2}]' > r.json; hone prepare r.json -o x.jsonl
2> hone: r.json, line 2: "text": found an integer, expected a string
? 1
# Prompt and completion as messages: of the turns only the completion's carry loss.
$ echo '{"prompt": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}], "completion": [{"role": "assistant", "content": "d"}]}' > c.jsonl
$ hone prepare c.jsonl --preview 1 --model $TEST/data/last_user --mask-prompt
(what is trained is between [ and ])
---- c.jsonl, line 1 (completion): 35 tokens, 3 with loss
<s> [INST] a [/INST] b</s> [INST] c [/INST[] d</s>]
# Another chat template than the model's: hone's, a file; it stays with the adapter.
$ echo '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}' > m.jsonl; hone prepare m.jsonl --preview 1 --model $TEST/golden/llama-tied --mask-prompt --chat-template zephyr
(what is trained is between [ and ])
---- m.jsonl, line 1 (chat): 25 tokens, 2 with loss
<|user|>a<|end|><|assistant|>[b<|end|>]
$ printf "{%% for m in messages %%}{{ m.content }}:{%% endfor %%}" > t.jinja; hone prepare m.jsonl --preview 1 --model $TEST/golden/llama-tied --chat-template t.jinja | tail -1
a[:b:]
$ hone prepare m.jsonl --preview 1 --model $TEST/golden/llama-tied --chat-template chatlm
2> hone: the chat template chatlm is no file, and not among the templates that have names: chatml, zephyr, vicuna, alpaca
? 1
$ printf '{%% if %%}' > bad.jinja; hone prepare m.jsonl --preview 1 --model $TEST/golden/llama-tied --chat-template bad.jinja
2> hone: bad.jinja: * (glob)
? 1
$ hone train --model $TEST/golden/llama-tied --data m.jsonl --max-steps 1 --chat-template t.jinja > log; cmp t.jinja adapters/chat_template.jinja; grep chat_template adapters/train.yaml; hone test --model adapters --data m.jsonl --json | grep -o '"prompt": "[^"]*"'
chat_template: t.jinja
"prompt": "a:"
# What a killed run left is swept away, what another one is writing is not.
$ touch out.jsonl.99999999.tmp other.jsonl.1.tmp; hone prepare b.jsonl -o out.jsonl > log; ls *.tmp
other.jsonl.1.tmp
# A row that has nothing of what the file's other rows have is told what there is.
$ printf '%s\n' '{"text": "a"}' '{"question": "b", "answer": "c"}' > mixed.jsonl; hone prepare mixed.jsonl -o mixed
2> hone: mixed.jsonl, line 2: found the keys "question", "answer", expected "messages" or "conversations" (chat), "prompt" and "completion", "task" or "instruction" and "response" (task record), "instruction" and "output" (Alpaca), or "text"
? 1
# A pipe is refused, not waited for.
$ mkfifo pipe; timeout 5 hone prepare pipe -o out.jsonl
2> hone: pipe is not a regular file, expected a file of rows (they are read again, so it cannot be a pipe)
? 1
