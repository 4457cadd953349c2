# Wrong usage: status 2, one sentence that begins with "hone: ", nothing on standard output.
$ hone trian
2> hone: there is no command trian; did you mean hone train?
? 2
$ hone xyzzy
2> hone: there is no command xyzzy; hone --help lists what there is
? 2
$ hone help trian
2> hone: there is no command trian; did you mean hone train?
? 2
$ hone train --leraning-rate 1
2> hone: unknown option --leraning-rate; did you mean --learning-rate?
? 2
$ hone train --top-p 0.5
2> hone: --top-p is an option of hone generate, not of hone train
? 2
$ hone train --lora-rank eight
2> hone: --lora-rank: found "eight", expected a whole number from 1 to 4096
? 2
$ hone train
2> hone: --model is missing: a model's folder, a .gguf file or ORG/NAME
? 2
$ hone train --model m
2> hone: --data is missing: a folder with train.jsonl, or one file of rows
? 2
$ hone train --model m --data nowhere
2> hone: --data nowhere: there is no such folder or file here (a data set of a hub has to be written to a .jsonl file first)
? 1
$ mkfifo rows; timeout 5 hone train --model $TEST/golden/llama-tied --data rows
2> hone: --data: rows is not a regular file
? 1
$ timeout 5 hone test --model $TEST/golden/llama-tied --data rows
2> hone: --data: rows is not a regular file
? 1
$ timeout 5 hone compare $TEST/golden/llama-tied $TEST/golden/llama-tied --data rows
2> hone: --data: rows is not a regular file
? 1
$ timeout 5 hone fuse --model $TEST/golden/mistral --adapter-path $TEST/golden/mistral/adapter --save-path fused --data rows; ls
rows
2> hone: --data: rows is not a regular file
$ printf '{"text": "row"}\n' > text.jsonl; timeout 5 hone train --model $TEST/golden/llama-tied --data text.jsonl --resume-adapter-file rows 2>&1 | tail -1; rm rows text.jsonl; rm -rf adapters
hone: resume-adapter-file: rows is not a regular file
$ hone lora --optimizer muon
2> hone: --optimizer muon is not there yet; this version has adamw, adam, sgd, adamw_8bit
? 2
$ hone train --lora-alpha 16 --lora-scale 20
2> hone: both lora-alpha and a scale (mlx_lm's multiplier) are set: the multiplier is alpha/rank or the scale, so give one of them
? 2
$ hone generate
2> hone: --model is missing: a model's folder, a .gguf file, an adapter's folder or ORG/NAME
? 2
$ hone test --model m
2> hone: --data is missing: which held-out rows?
? 2
$ hone tokenize
2> hone: --model is missing: whose tokenizer?
? 2
$ hone bench
2> hone: --model is missing: which model should be measured?
? 2
$ hone prepare
2> hone: --input is missing: which files of records?
? 2
$ hone prepare --input a.jsonl
2> hone: --output is missing: a folder, or one .jsonl file (or --preview N)
? 2
$ hone prepare --input a.jsonl --output b --max-seq-length 100
2> hone: --max-seq-length counts tokens, so it needs --model with the tokenizer
? 2
$ printf 'lora_rank: 8\nleraning_rate: 1\n' > x.yaml; hone train --config x.yaml
2> hone: x.yaml:2: unknown key "leraning_rate"; did you mean learning_rate?
? 1
$ hone train --config "" --model m --data x
2> hone: --config is empty: it takes the name of a YAML file
? 2
$ hone train --config none.yaml
2> hone: *none.yaml* (glob)
? 1
$ hone info no/such
2> hone: model no/such: there is no such folder or file here, and */.cache/huggingface/hub holds no such model (the cache is empty); HF_HUB_OFFLINE is set: without it, hone pull no/such gets it (glob)
? 1
$ mkdir -p $HOME/.cache/huggingface/hub/models--acme--tiny; hone info acme/tinny
2> hone: model acme/tinny: * (did you mean acme/tiny?); HF_HUB_OFFLINE is set: without it, hone pull acme/tinny gets it (glob)
? 1
$ mkdir -p $HOME/.cache/huggingface/hub/models--acme--tiny; hone info tinny
2> hone: model tinny: there is no such folder or .gguf file, and it is no ORG/NAME of a hub (did you mean acme/tiny?)
? 1
# Engines that are not in this build.
$ hone generate --model $TEST/golden/llama-tied --backend mlx x
2> hone: --backend mlx: this hone was built without the MLX backend, which is not there yet; leave --backend out, or say cpu, which trains and runs the same files
? 2
$ hone generate --model $TEST/golden/llama-tied --device cuda:0 x
2> hone: --backend cuda:0: this hone was built without the CUDA backend, which is not there yet; leave --backend out, or say cpu, which trains and runs the same files
? 2
$ hone generate --model $TEST/golden/llama-tied --backend foo x
2> hone: there is no backend "foo"; this hone has cpu
? 2
# What would be passed over in silence, or lost.
$ hone generate --model $TEST/golden/llama-tied --chat-template-config '{"a": 1}' x
2> hone: --chat-template-config needs a chat template, and the model has none
? 2
$ hone generate --model $TEST/golden/llama-tied --adapter-path nowhere x
2> hone: adapter nowhere: there is no such folder or file; hone train writes one into its --adapter-path (adapters unless told)
? 1
$ echo '{"text": "row"}' > rows.jsonl; hone prepare rows.jsonl -o ./rows.jsonl
2> hone: --output ./rows.jsonl is one of the inputs, and would replace it: choose another name
? 2
$ mkdir d; cp rows.jsonl d/train.jsonl; hone prepare d/train.jsonl -o d
2> hone: --output d: its train.jsonl is one of the inputs, and would be replaced: choose another folder
? 2
$ mv d/train.jsonl d/valid.jsonl; hone prepare d/valid.jsonl -o d --valid-rows 1
2> hone: --output d: its valid.jsonl is one of the inputs, and would be replaced: choose another folder
? 2
$ hone prepare d/valid.jsonl -o d > log; cat d/valid.jsonl d/train.jsonl
{"text": "row"}
{"text": "row"}
$ hone train --model $TEST/golden/llama-tied --data rows.jsonl --resume-adapter-file nowhere
2> hone: resume-adapter-file nowhere: there is no such file or folder
? 1
$ echo '[5, 99999]' | hone tokenize --model $TEST/golden/llama-tied --decode
2> hone: standard input:1: item 1 of the array is no token id; this tokenizer has 0 to 95
? 1
# Memory: refused before it starts, with what fits.
$ hone train --model $TEST/golden/llama-tied --data rows.jsonl --memory 1MB
2> hone: this run needs * MB (* MB for activations of * tokens, the longest row), but only 1.0 MB are allowed by --memory; * MB are needed without any activation: use a smaller or more quantised model, or allow more (glob)
? 1
# Standard output that cannot be written, or that nobody reads any more.
$ hone info $TEST/golden/llama-tied > /dev/full
2> hone: standard output cannot be written
? 1
$ hone train --model $TEST/golden/llama-tied --data rows.jsonl --max-steps 100000 --adapter-path cut --threads 1 --steps-per-report 10 2>/dev/null | head -1 > first.txt; echo ${PIPESTATUS[0]}; ls cut | grep adapters
130
adapters.safetensors
# What stands in the place of a model's file and is none is named, not taken for a file that is missing.
$ cp -r $TEST/golden/llama-tied linked; chmod -R u+w linked; ln -sf gone linked/generation_config.json; hone info linked
2> hone: cannot open linked/generation_config.json: No such file or directory
? 1
$ rm linked/generation_config.json linked/tokenizer_config.json; mkfifo linked/tokenizer_config.json; timeout 5 hone tokenize --model linked --text a
2> hone: linked/tokenizer_config.json is not a regular file
? 1
$ rm linked/tokenizer_config.json; mkfifo fifo; mv fifo linked/model.safetensors; timeout 5 hone info linked
2> hone: linked/model.safetensors is not a regular file
? 1
$ cp linked/tokenizer.json linked/tokenizer.model; ln -sf gone linked/tokenizer.json; hone tokenize --model linked --text a
2> hone: cannot open linked/tokenizer.json: No such file or directory
? 1
$ cp -r $TEST/golden/llama-tied carried; chmod -R u+w carried; ln -s gone carried/vocab.json; hone convert carried -o copied
2> hone: cannot open carried/vocab.json: No such file or directory
? 1
$ rm carried/vocab.json; truncate -s 3T carried/vocab.json; timeout 60 hone convert carried -o copied; ls -d copied*
2> hone: carried/vocab.json is larger than the 268435456 bytes that are read of such a file
2> ls: cannot access 'copied*': No such file or directory
? 2
$ rm carried/vocab.json; echo '{"eos_token_id": "2"}' >carried/generation_config.json; hone info carried
2> hone: carried/generation_config.json: "eos_token_id" is a string, expected an integer or an array of integers
? 1
$ rm carried/generation_config.json; { printf '{"weight_map": {'; seq 300000 | sed 's/.*/"w&": "m&.safetensors",/'; echo '"w": "model.safetensors"}}'; } >carried/model.safetensors.index.json; timeout 20 hone info carried
2> hone: carried: the weight file m1.safetensors is missing (model.safetensors.index.json names it); fetch the model again
? 1
# What a message quotes stays on its line.
$ hone info $'a\nhone: fine\e[31m\x7f'
2> hone: model a?hone: fine?[31m?: there is no such folder or .gguf file, and it is no ORG/NAME of a hub
? 1
