# Full fine-tuning and DoRA: trained, applied from the folder, fused; what is left is one model.
$ for i in 1 2 3 4 5 6; do printf '{"text": "row %d of the data"}\n' $i; done > t.jsonl; ln -s $TEST/golden/llama-tied m; ln -s $TEST/golden/mlx-q4 q; ln -s $TEST/golden/llama-linear b
$ echo 'hone test --data t.jsonl --no-generate --json "$@" | grep -oE "\"perplexity\": [0-9.]+" | cut -c1-20' > ppl; chmod +x ppl
$ echo 'exec hone train --data t.jsonl --max-steps 4 --learning-rate 1e-2 --report-samples 0 "$@"' > train; chmod +x train
$ ./train --model m --fine-tune-type full --adapter-path f | grep -E 'Trainable|Saved|its parameters'
Trainable parameters: 100.000% (0.059M/0.059M)
  adapter    234.8 kB  its parameters
Iter 4: Saved adapter weights to f/checkpoints/0000004.
Saved final weights to f/adapters.safetensors.
Saved the whole model, which needs no base, to f/model.
$ ./ppl --model f > a; ./ppl --model f/model > b1; ./ppl --model m --adapter-path f > c; ./ppl --model m > d; cmp a b1; cmp a c; cmp -s a d
? 1
$ ls f/model
config.json
model.safetensors
tokenizer.json
tokenizer_config.json
$ hone info --model f | grep -E 'trained'
  trained * f, 58,688 weights in the place of the base's (glob)
$ grep -c '"fine_tune_type": "full"' f/adapter_config.json
1
# a base in 16 bits: float32 copies are trained, the folder is written in the base's type
$ ./train --model b --fine-tune-type full --num-layers 1 --adapter-path f1 | grep -E 'Trainable|whole'
Trainable parameters: 26.489% (0.008M/0.030M)
Saved the whole model, which needs no base, to f1/model.
$ hone info --model f1/model | grep weights | head -1
  weights * bfloat16, * (glob)
$ hone fuse --adapter-path f1 --type f32 -o f1x --no-measure | head -3
  weights  float32, 32.000 bits per weight
  fused    7 of 23 matrices were trained
  exact    16 of 23 matrices have the base's values
$ ./ppl --model f1 > a; ./ppl --model f1x > b1; cmp a b1
# goes on from its weights
$ ./train --model m --fine-tune-type full --resume-adapter-file f/adapters.safetensors --adapter-path f2 | grep -oE 'Iter 4: Train loss [0-9]'
Iter 4: Train loss * (glob)
$ ./train --model m --resume-adapter-file f/adapters.safetensors --adapter-path f3
2> hone: f/adapters.safetensors is the result of fine-tune-type full, but lora is set: give --fine-tune-type full
? 1
$ ./train --model q --fine-tune-type full --adapter-path f4
2> hone: fine-tune-type full changes the weights themselves, but q is quantised (model.embed_tokens.weight: affine 4-bit, groups of 64): use --fine-tune-type lora or dora on it, or train the model's float weights (hone convert --dequantize makes them)
? 1
# DoRA
$ ./train --model m --use-dora --adapter-path d1 | grep -E 'Saved final'
Saved final weights to d1/adapters.safetensors.
$ grep -E 'use_dora|"fine_tune_type"' d1/adapter_config.json
  "fine_tune_type": "dora",
  "use_dora": true,
$ hone fuse --adapter-path d1 -o d1x --no-measure | sed -n 2p
  fused    8 of 15 matrices had an adapter
$ ./ppl --model d1 > a; ./ppl --model d1x > b1; cmp a b1
$ ./train --model q --fine-tune-type dora --adapter-path d2 | grep -E 'Saved final'
Saved final weights to d2/adapters.safetensors.
