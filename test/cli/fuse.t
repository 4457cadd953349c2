# An adapter merged into its base.
$ printf '%s\n' '{"text": "the data"}' '{"text": "row of data"}' > t.jsonl; ln -s $TEST/golden/llama-tied m; ln -s $TEST/golden/mlx-q4 q; ln -s $TEST/golden/qwen3 other
$ hone fuse --model m --adapter-path m/adapter --data t.jsonl
  weights  float32, 32.000 bits per weight
  fused    8 of 15 matrices had an adapter
  exact    7 of 15 matrices have the base's values
wrote fused_model: 237.0 kB of weights (the base has 236.8 kB) in * s (glob)
 
                             base  with the adapter      fused
  loss                    10.2110  * (glob)
  perplexity            27200.8* * * (glob)
  same likeliest token     62.5 %           100.0 %    100.0 %
  mean KL                    0.65                 0    *e-1? (glob)
  largest KL                  2.1                 0    *e-1? (glob)
  loss over 16 tokens of 2 rows of t.jsonl, distributions at 16 of them
# what is written is the base with its adapter
$ ppl() { hone test --data t.jsonl --no-generate --json "$@" | grep -oE '"perplexity": [0-9.]+' | cut -c1-20; }; ppl --model fused_model > a; ppl --model m --adapter-path m/adapter > b; ppl --model m > c; cmp a b; cmp -s a c
? 1
$ hone fuse --model m --adapter-path m/adapter --no-measure
2> hone: fused_model exists already and is not empty; --overwrite replaces it
? 1
$ hone fuse --model m --adapter-path m/adapter --no-measure --overwrite --type bf16 | tail -2
  narrowed  15 of 15 matrices were rounded to a narrower float type
wrote fused_model: 119.6 kB of weights (the base has 236.8 kB) in * s (glob)
# the base's quantisation again, and floats
$ hone fuse --model q --adapter-path q/adapter -o q4 --json --data t.jsonl | grep -oE '"(fused|exact|quantized|narrowed)": [0-9]+|"storage": "[^"]*"|"kl": 0.[0-9]' | tr '\n' ' '
"storage": "affine 4-bit, groups of 64" "fused": 8 "exact": 7 "quantized": 8 "narrowed": 0 "kl": 0.3 "kl": 0.0 "kl": 0.1 
$ hone fuse --model q --adapter-path q/adapter -o q4d --dequantize --no-measure | grep -c quantised
0
? 1
# mistakes
$ hone fuse
2> hone: --adapter-path is missing, and there is no folder adapters here
? 2
$ hone fuse --model m --adapter-path none
2> hone: adapter none: there is no such folder or file; hone train writes one into its --adapter-path (adapters unless told)
? 1
$ hone fuse --model other --adapter-path m/adapter -o no
2> hone: m/adapter/adapter_model.safetensors: the adapter's module model.layers.0.self_attn.q_proj maps 64 to 64, but in the base model other it maps 48 to 72
? 1
$ hone fuse --model m --adapter-path m/adapter -o x.gguf --to hf
2> hone: --save-path x.gguf: a .gguf file, but the output is to be a folder
? 2
$ hone fuse --model m --adapter-path m/adapter -o x --type q8_0
2> hone: --save-path x: a GGUF's name ends in .gguf
? 2
$ hone fuse --model m --adapter-path m/adapter -o x.gguf --export-gguf
2> hone: --export-gguf writes a GGUF into the folder of --save-path, and that is a .gguf file itself
? 2
$ hone fuse m/adapter
2> hone: --adapter-path is missing, and there is no folder adapters here
? 2
$ hone fuse --adapter-path m/adapter
2> hone: m/adapter does not say what base model it belongs to; give it with --model
? 1
# What is read is not replaced, and what could not be replaced at the end is refused at the start.
$ cp -r $TEST/golden/llama-tied own; chmod -R u+w own; rm -r own/adapter; hone convert --model own --output own --overwrite -q
2> hone: own holds what is read, and would replace it: choose another name
? 1
$ cp $TEST/golden/gguf-f16/model.gguf own/model.gguf; hone convert --model own/model.gguf --output own --overwrite
2> hone: own holds what is read, and would replace it: choose another name
? 1
$ cmp own/model.gguf $TEST/golden/gguf-f16/model.gguf; cp -r $TEST/golden/llama-tied/adapter own-adapter; chmod u+w own-adapter; hone convert --model own-adapter --to mlx --output own-adapter --overwrite
2> hone: own-adapter holds what is read, and would replace it: choose another name
? 1
$ mkdir empty; ln -s empty link; hone convert --model own --output link
2> hone: link is a link: give the name of the folder itself
? 1
$ cd empty; hone convert --model ../own --output .
2> hone: . is the folder hone was started in: give the name of another
? 1
$ mkfifo pipe.gguf; hone convert --model own/model.gguf --output pipe.gguf
2> hone: pipe.gguf is a device or pipe, expected a name to write to
? 1
# What a killed run left beside the output is removed by the next; other names are not its own.
$ mkdir y.99999999.tmp y.99999999.tmp.1.tmp y.x.tmp; touch y.99999999.tmp/config.json y.gguf.99999999.tmp; hone convert --model m --output y > log; hone convert --model $TEST/golden/gguf-f16/model.gguf --output y.gguf >> log; ls -d y*
y
y.99999999.tmp.1.tmp
y.gguf
y.x.tmp
