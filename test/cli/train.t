# A whole run on a tiny model: plan, lines through a pipe, what is left behind, and going on from it.
$ for i in a b c d e f; do echo "{\"text\": \"row $i of the data\"}"; done > d.jsonl
$ hone train --model $TEST/golden/llama-tied --data d.jsonl --max-steps 4 --steps-per-report 2 --threads 1
model        */golden/llama-tied (llama, float32, 58.7k parameters) (glob)
device       cpu, 1 thread* (glob)
training     6 rows, * tokens (* with loss), longest row * (glob)
Trainable parameters: 12.214% (0.007M/0.059M)
Memory plan
...
  of * that this machine has (glob)
Starting training..., iters: 4
note: there is no validation set: the run is not evaluated as it goes
Iter 2: Train loss *, Learning Rate 2.000e-04, It/sec *, Tokens/sec *, Trained Tokens *, Peak mem * GB (glob)
Iter 4: Train loss *, Learning Rate 2.000e-04, It/sec *, Tokens/sec *, Trained Tokens *, Peak mem * GB (glob)
Iter 4: Saved adapter weights to adapters/checkpoints/0000004.
Saved final weights to adapters/adapters.safetensors.
4 steps, * tokens in 0:0*, * tokens/s, peak memory * MB (glob)
Report: adapters/report.html
$ ls adapters
adapter_config.json
adapter_model.safetensors
adapters.safetensors
checkpoints
metrics.csv
metrics.jsonl
report.html
run.json
...
train.yaml
$ wc -l < adapters/metrics.jsonl
2
# The settings that were written repeat the run, step for step.
$ cp -r adapters first; hone train --config first/train.yaml > log.txt; sed 's/, "tokens_per.*//' first/metrics.jsonl > a; sed 's/, "tokens_per.*//' adapters/metrics.jsonl | diff a -; cmp first/adapters.safetensors adapters/adapters.safetensors
# More steps go on from the checkpoint.
$ cd adapters; touch adapters.safetensors.12.tmp metrics.jsonl.3.tmp mine.tmp; mkdir checkpoints/unfinished-0000005; touch checkpoints/unfinished-0000005/state.safetensors.9.tmp; cd ..
$ hone train --config adapters/train.yaml --max-steps 6 --resume | grep -E '^(Going|Iter)'
Going on after step 4 of 6
Iter 6: Train loss *, Learning Rate 2.000e-04, It/sec *, Tokens/sec *, Trained Tokens *, Peak mem * GB (glob)
Iter 6: Saved adapter weights to adapters/checkpoints/0000006.
# What a killed run left half-written is swept, and nothing else.
$ find adapters -name '*.tmp' -o -name 'unfinished*'
adapters/mine.tmp
# And give what an uninterrupted run gives.
$ hone train --config first/train.yaml --max-steps 6 --adapter-path whole > log.txt; cmp whole/adapters.safetensors adapters/adapters.safetensors
# The adapter's folder alone is a model.
$ hone info adapters | grep rank
  adapter        adapters, rank 8, 7,168 parameters
# One system's layout alone, which serves as well.
$ hone convert adapters --to peft -o p > log.txt; hone convert adapters --to mlx -o m > log.txt; ls p m; for a in p m adapters; do hone test --model $a --data d.jsonl --no-generate --json | grep -o '"loss": [0-9.]*' | head -1; done | uniq | wc -l
m:
adapter_config.json
adapters.safetensors

p:
adapter_config.json
adapter_model.safetensors
1
# --test alone trains nothing, as in mlx_lm.
$ mkdir data; cp d.jsonl data/train.jsonl; cp d.jsonl data/test.jsonl
$ hone lora --model $TEST/golden/llama-tied --data data --adapter-path adapters --test
Testing
Test loss *, Test ppl *. (glob)
$ hone lora --model $TEST/golden/llama-tied --data data --adapter-path adapters --iters 2 > log.txt; head -1 log.txt | cut -c1-58
Defaults that are not mlx_lm.lora's: max_seq_length 1024 (
# mlx_lm's own run: its defaults, order, start and rule.
$ cat d.jsonl d.jsonl d.jsonl > data/train.jsonl; hone lora --preset mlx-lm --model $TEST/golden/llama-tied --data data --num-layers 2 --iters 6 --steps-per-report 2 --save-every 4 --adapter-path as-mlx | grep Iter
Iter 2: Train loss *, Learning Rate 1.000e-05, It/sec *, Tokens/sec *, Trained Tokens *, Peak mem * GB (glob)
Iter 4: Train loss *, Learning Rate 1.000e-05, It/sec *, Tokens/sec *, Trained Tokens *, Peak mem * GB (glob)
Iter 4: Saved adapter weights to as-mlx/checkpoints/0000004.
Iter 6: Train loss *, Learning Rate 1.000e-05, It/sec *, Tokens/sec *, Trained Tokens *, Peak mem * GB (glob)
Iter 6: Saved adapter weights to as-mlx/checkpoints/0000006.
$ hone train --config as-mlx/train.yaml --adapter-path again > log.txt; cmp again/adapters.safetensors as-mlx/adapters.safetensors; grep -c mlx-lm as-mlx/train.yaml
3
# What cannot be.
# A report's loss is the mean of its steps', as transformers logs it, whatever their tokens.
$ cat d.jsonl > e.jsonl; echo '{"text": "a much longer row that is trained, of which every token counts"}' >> e.jsonl; for n in 1 9; do hone train --model $TEST/golden/llama-tied --data e.jsonl --num-epochs 1 --steps-per-report $n --adapter-path r > log.txt; grep -o '"loss": [0-9.]*' r/metrics.jsonl | cut -d' ' -f2 > r$n; done; awk '{ s += $1 } END { getline all < "r9"; print NR, ((s / NR - all) ^ 2 < 1e-10) }' r1
7 1
# The validation loss: of all tokens, or as transformers' of its batches, each as heavy as its rows.
$ head -1 d.jsonl > one; echo '{"text": "a much longer row of validation, of which every token counts"}' > two; cat one two one > both; for o in "one 0" "two 0" "both 0" "both 1" "both 2"; do set -- $o; hone train --model $TEST/golden/llama-tied --data d.jsonl --max-steps 1 --learning-rate 0 --valid-data $1 --per-device-eval-batch-size $2 --adapter-path v > log.txt; grep -o '"val_loss": [0-9.]*' v/metrics.jsonl | cut -d' ' -f2; done > losses
$ awk '{ l[NR] = $1 } function near(a, b) { return (a - b) ^ 2 < 1e-10 } END { print near(l[3], l[4]), near(l[4], (2 * l[1] + l[2]) / 3), near(l[5], l[4]), (l[5] > 0) }' losses
0 1 0 1
# transformers' flags of precision run, and hear what hone computes in; who asks for 16 bits does not.
$ hone train --model $TEST/golden/llama-tied --data d.jsonl --max-steps 1 --bf16 False --fp16 True --adapter-path half | grep -c 'change nothing'
1
$ hone train --model $TEST/golden/llama-tied --data d.jsonl --max-steps 1 --bf16_full_eval --adapter-path half | grep -o 'note: bf16 and fp16 change nothing: hone computes as exactly as float32'
note: bf16 and fp16 change nothing: hone computes as exactly as float32
$ hone train --model $TEST/golden/llama-tied --data d.jsonl --max-steps 1 --bf16 --compute bf16 --adapter-path half | grep -c 'change nothing'
0
? 1
$ echo '{"text": 1}' > bad.jsonl; hone train --model $TEST/golden/llama-tied --data bad.jsonl
2> hone: bad.jsonl, line 1: "text": found an integer, expected a string
? 1
$ hone train --model $TEST/golden/llama-tied --data d.jsonl --target-modules nothing_proj
2> hone: the target module "nothing_proj" matches no linear layer of the model; it has q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj and down_proj
? 2
$ hone train --model $TEST/golden/llama-tied --data d.jsonl --memory 100k
2> hone: * (glob)
? 1
# Ctrl-C saves, says how to go on, and ends with 130.
$ timeout --preserve-status -s INT 1 hone train --model $TEST/golden/llama-tied --data d.jsonl --max-steps 1000000 --save-strategy no --steps-per-report 1000000 --adapter-path stopped --threads 1 | tail -1; echo ${PIPESTATUS[0]}
Go on with: hone train --config stopped/train.yaml --resume
130
2> hone: stopped at step * of 1000000 and saved to stopped/checkpoints/*; the same command with --resume goes on from there (glob)
$ hone train --config stopped/train.yaml --resume --max-steps 1 | grep -c Going
1
# A terminal that is closed does the same, however often it is said; under nohup the run goes on.
$ timeout --preserve-status -s HUP 1 hone train --model $TEST/golden/llama-tied --data d.jsonl --max-steps 1000000 --save-strategy no --steps-per-report 1000000 --adapter-path hung --threads 1 | tail -1; echo ${PIPESTATUS[0]}
Go on with: hone train --config hung/train.yaml --resume
130
2> hone: stopped at step * of 1000000 and saved to hung/checkpoints/*; the same command with --resume goes on from there (glob)
$ mkfifo calls; (trap '' HUP; hone train --model $TEST/golden/llama-tied --data d.jsonl --max-steps 300 --save-strategy no --steps-per-report 1 --adapter-path nohup --threads 1 > calls & echo $! > pid); exec 3< calls; while read -r line <&3; do case $line in 'Iter 1:'*) kill -HUP $(cat pid) ;; 'Iter 300: Saved'*) echo "$line" ;; esac; done
Iter 300: Saved adapter weights to nohup/checkpoints/0000300.
# Checkpoints that cannot be written are said before the first step.
$ mkdir nowhere; ln -s gone/checkpoints nowhere/checkpoints; hone train --model $TEST/golden/llama-tied --data d.jsonl --max-steps 1 --adapter-path nowhere
2> hone: cannot make the directory nowhere/checkpoints/unfinished-0000000: No such file or directory
? 1
# A second run in a folder that is being written is refused.
$ mkfifo lines; (hone train --model $TEST/golden/llama-tied --data d.jsonl --max-steps 1000000 --save-strategy no --steps-per-report 1 --adapter-path held --threads 1 > lines 2> /dev/null & echo $! > pid); exec 3< lines; while read -r line <&3; do case $line in Iter*) break ;; esac; done; hone train --model $TEST/golden/llama-tied --data d.jsonl --max-steps 1 --adapter-path held; kill -9 $(cat pid)
2> hone: held is being written by another program: wait for its end, or choose another folder
# A new run goes on from its own checkpoints, not from those that an earlier one left in the folder.
$ hone train --model $TEST/golden/llama-tied --data d.jsonl --max-steps 5 --save-every 1 --adapter-path twice > log.txt; hone train --model $TEST/golden/llama-tied --data d.jsonl --max-steps 3 --save-every 1 --save-total-limit 2 --learning-rate 1e-3 --adapter-path twice | grep earlier; ls twice/checkpoints twice/checkpoints-*
note: the checkpoints of an earlier run are now in twice/checkpoints-1; remove it if it is not wanted
twice/checkpoints:
0000002
0000003

twice/checkpoints-1:
0000001
0000002
0000003
0000004
0000005
# A limit on the size of files is a failure with a sentence, and a model that computes no numbers too.
$ (ulimit -f 16; hone train --model $TEST/golden/llama-tied --data d.jsonl --max-steps 1 --adapter-path small > log.txt)
2> hone: cannot write small/* (glob)
? 1
$ cp -r $TEST/golden/llama-tied damaged; chmod -R u+w damaged; printf '\377\377\377\377' | dd of=damaged/model.safetensors bs=1 conv=notrunc status=none seek=$(($(stat -c %s damaged/model.safetensors) - 4)); hone test --model damaged --data d.jsonl
2> hone: d.jsonl, line 1: the model's loss is not a finite number: its weights or its adapter's are damaged, or too large to compute with
? 1
$ hone generate --model damaged --prompt a --json
2> hone: the model's logits for token 1 of its answer are not finite numbers: its weights or its adapter's are damaged, or too large to compute with
? 1
$ hone compare damaged $TEST/golden/llama-tied --data d.jsonl
2> hone: damaged: the loss is not a finite number: its weights or its adapter's are damaged, or too large to compute with
? 1
# So is a model's file that is cut short under a run.
$ cp -r $TEST/golden/llama-tied cut; chmod -R u+w cut; mkfifo more; (hone train --model cut --data d.jsonl --max-steps 1000000 --save-strategy no --steps-per-report 1 --adapter-path cut-run --threads 1 > more 2> said; echo $? > status) & exec 3< more; while read -r line <&3; do case $line in Iter*) : > cut/model.safetensors; cat <&3 > rest; break ;; esac; done; wait; cat said status
hone: a file that is in use was cut short, or its disk no longer answers: put it back and run the command again (a training run with --resume)
1
