# hone chat through a pipe: a message a line, answers alone on standard output.
# (test_chat_terminal.c types at a terminal, test/infer/test_conversation.c compares tokens.)
$ printf 'row\nstone\n' | hone chat $TEST/golden/llama-tied -m 10
::::::::::
::::::::::
2> (the model has no chat template: turns are written as "User: …" and "Assistant: …")
2> (cut after 10 tokens; --max-tokens N allows more)
2> (cut after 10 tokens; --max-tokens N allows more)
# What hone generate writes for the same text; each answer has the next seed.
$ printf 'row of data\nand a stone' | hone chat $TEST/golden/llama-tied -m 12 --temp 2 --top-k 8 --seed 4 --chat-template chatml 2>/dev/null > chat.txt; wc -l < chat.txt
2
$ hone generate --model $TEST/golden/llama-tied --chat-template chatml -p 'row of data' -m 12 --temp 2 --top-k 8 --seed 4 --no-verbose > 1.txt; head -1 chat.txt | cmp - 1.txt
$ hone generate --model $TEST/golden/llama-tied --ignore-chat-template -p "<|im_start|>user\nrow of data<|im_end|>\n<|im_start|>assistant\n$(cat 1.txt)<|im_end|>\n<|im_start|>user\nand a stone<|im_end|>\n<|im_start|>assistant\n" -m 12 --temp 2 --top-k 8 --seed 5 --no-verbose > 2.txt; tail -1 chat.txt | cmp - 2.txt
$ printf 'row' | hone chat $TEST/golden/llama-tied -m 12 --temp 2 --top-k 8 --seed 4 2>/dev/null > chat.txt; hone generate --model $TEST/golden/llama-tied -p 'User: row\nAssistant:' -m 12 --temp 2 --top-k 8 --seed 4 --no-verbose | sed 's/^ *//' | cmp - chat.txt
# Commands.
$ printf '/system be brief\n/system\nrow\n/info\n/retry\n/save talk.jsonl\n/undo\n/info\n/reset\n/system off\n/system\n/quit\nnever read\n' | hone chat $TEST/golden/llama-tied --chat-template chatml -m 4
IIII
IIII
2> (the system message is set)
2> system message: be brief
2> (cut after 4 tokens; --max-tokens N allows more)
2> (2 messages, 89 of 256 tokens)
2> (at --temp 0 an answer is always the same)
2> (cut after 4 tokens; --max-tokens N allows more)
2> (3 messages added to talk.jsonl)
2> (the last message and its answer are taken back; 0 are left)
2> (0 messages, 0 of 256 tokens)
2> (a new conversation; the system message stays)
2> (the system message is gone)
2> (there is no system message)
$ printf 'a \\\nb\n//c\n/save talk.jsonl' | hone chat --model $TEST/golden/llama-tied --chat-template chatml -m 1 2>/dev/null; cat talk.jsonl
I
I
{"messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "row"}, {"role": "assistant", "content": "IIII"}]}
{"messages": [{"role": "user", "content": "a \nb"}, {"role": "assistant", "content": "I"}, {"role": "user", "content": "/c"}, {"role": "assistant", "content": "I"}]}
# The record is a chat for hone prepare, and a file that lacks its last line's end gets it.
$ hone prepare talk.jsonl -o rows.jsonl > /dev/null && cmp talk.jsonl rows.jsonl || sort talk.jsonl | cmp - <(sort rows.jsonl)
$ printf '{"text": "x"}' > other.jsonl; printf 'row\n/save other.jsonl' | hone chat $TEST/golden/llama-tied -m 1 2>/dev/null; wc -l < other.jsonl
:
2
$ printf 'h\n' | hone chat $TEST/golden/llama-tied --chat-template chatml 2>&1 | head -2
  /help         this list
  /reset        begin anew; the system message stays
$ printf 'r\nq\nrow\n' | hone chat $TEST/golden/llama-tied --chat-template chatml
2> (a new conversation)
# The cache: what it holds is not read again.
$ printf 'row\nrow\n' | hone chat $TEST/golden/llama-tied --chat-template chatml -m 4 --verbose 2>&1 | grep Prompt
Prompt: 50 tokens (0 in the cache), * tokens-per-sec (glob)
Prompt: 114 tokens (53 in the cache), * tokens-per-sec (glob)
# A zero byte in a message cuts nothing off.
$ printf 'a\0b\n' | hone chat $TEST/golden/llama-tied --chat-template chatml -m 4 --verbose 2>&1 | grep Prompt
Prompt: 49 tokens (0 in the cache), * tokens-per-sec (glob)
$ printf 'a\0b' | hone generate --model $TEST/golden/llama-tied --chat-template chatml -p - -m 4 | grep Prompt
Prompt: 49 tokens, * tokens-per-sec (glob)
# As many stop texts as there are.
$ printf 'row\n' | hone chat $TEST/golden/llama-tied -m 4 $(printf -- '--stop x%s ' $(seq 70)) --stop : 2>/dev/null | wc -c
1
# In a script a failure ends it.
$ printf '/foo\nrow\n' | hone chat $TEST/golden/llama-tied --chat-template chatml
2> hone: there is no command /foo; /help lists what there is, and // begins a message that begins with /
? 1
$ printf '/save\n' | hone chat $TEST/golden/llama-tied --chat-template chatml
2> hone: /save needs a file: /save talk.jsonl
? 2
$ printf '/save x\n' | hone chat $TEST/golden/llama-tied --chat-template chatml
2> hone: there is nothing to save yet
? 1
$ printf 'row\n/save no/such/folder/x\n' | hone chat $TEST/golden/llama-tied --chat-template chatml -m 1 2>&1 >/dev/null | tail -1
hone: no/such/folder/x cannot be written: No such file or directory
$ printf 'row\n/save /dev/full\n' | hone chat $TEST/golden/llama-tied --chat-template chatml -m 1 2>&1 >/dev/null | tail -1
hone: /dev/full cannot be written: No space left on device
$ printf '/undo\n' | hone chat $TEST/golden/llama-tied --chat-template chatml
2> hone: there is nothing to take back yet
? 1
$ printf '/retry\n' | hone chat $TEST/golden/llama-tied --chat-template chatml --temp 1
2> hone: there is no answer yet that could be written again
? 1
$ printf 'a\377b\n' | hone chat $TEST/golden/llama-tied --chat-template chatml
2> hone: the message is no valid UTF-8 at byte 1
? 1
$ printf 'row\nrow\n' | hone chat $TEST/golden/llama-tied --chat-template chatml --max-kv-size 60
IIIIIIIIII
2> (cut: the conversation has reached the 60 tokens that it may hold; /reset begins anew, /undo takes the last turn back)
2> hone: the conversation has grown to * tokens, but it may hold 60 with the answer: /reset begins anew, /undo takes the last turn back, and --max-kv-size N gives more room from the start (glob)
? 1
$ printf 'row\n' | hone chat $TEST/golden/llama-tied --chat-template chatml > /dev/full
2> hone: standard output cannot be written
? 1
# What hone chat takes of mlx_lm.chat, and what it refuses.
$ printf 'row\n' | hone chat --model $TEST/golden/llama-tied --temp 0.0 --top-p 1.0 --seed 0 --max-kv-size 200 --max-tokens 2 --xtc-probability 0.0 --xtc-threshold 0.1 --prefill-step-size 2048 --trust-remote-code --system-prompt x 2>/dev/null
::
$ hone chat --model $TEST/golden/llama-tied --xtc-probability 0.5
2> hone: --xtc-probability * (glob)
? 2
$ hone chat a --model b
2> hone: two models: --model b and a
? 2
$ hone chat
2> hone: --model is missing: a model's folder, a .gguf file, an adapter's folder or ORG/NAME
? 2
$ hone chat $TEST/golden/llama-tied </dev/null
2> (the model has no chat template: turns are written as "User: …" and "Assistant: …")
