# Text to ids and back, on a tiny tokenizer without spaces (test/golden).
$ hone tokenize --model $TEST/golden/llama-tied --text hello
[74, 71, 78, 78, 81]
$ printf 'row\nof\n\n' | hone tokenize --model $TEST/golden/llama-tied
[84, 81, 89]
[81, 72]
[]
$ printf 'hello\n' > f.txt; hone tokenize --model $TEST/golden/llama-tied f.txt
[74, 71, 78, 78, 81]
$ echo '[74, 71, 78, 78, 81]' | hone tokenize --model $TEST/golden/llama-tied --decode
hello
$ hone tokenize --model $TEST/golden/llama-tied --decode --text '[1, 74, 2]'
<|start|>h<|end|>
$ hone tokenize --model $TEST/golden/llama-tied --decode --no-special --text '[1, 74, 2]'
h
$ hone tokenize --model $TEST/golden/llama-tied --text ''
[]
$ printf 'ok\nbad\377\n' | hone tokenize --model $TEST/golden/llama-tied
[81, 77]
2> hone: standard input:2: *3* (glob)
? 1
$ echo '[1, "a"]' | hone tokenize --model $TEST/golden/llama-tied --decode
2> hone: standard input:1: item 1 of the array is no token id; this tokenizer has 0 to 95
? 1
$ echo '{}' | hone tokenize --model $TEST/golden/llama-tied --decode
2> hone: standard input:1: found an object, expected an array of ids
? 1
$ hone tokenize --model $TEST/golden/llama-tied --text a f.txt
2> hone: both --text and a file are given: one of them is the input
? 2
# A PEFT adapter's folder, without a tokenizer of its own.
$ mkdir a; cp $TEST/golden/llama-tied/adapter/* a; ls a; sed -i "s|\"base_model_name_or_path\": [^,]*|\"base_model_name_or_path\": \"$TEST/golden/llama-tied\"|" a/adapter_config.json; hone tokenize --model a --text hello
adapter_config.json
adapter_model.safetensors
[74, 71, 78, 78, 81]
$ hone tokenize --model nowhere --text a
2> hone: model nowhere: there is no such folder or .gguf file, and it is no ORG/NAME of a hub
? 1
