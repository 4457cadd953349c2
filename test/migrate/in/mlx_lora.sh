#!/bin/sh
python -m mlx_lm lora \
    --model someone/Model-1B-4bit --train --data data/ --iters 600 --batch-size 2 \
    --num-layers 8 --learning-rate 2e-5 --mask-prompt
mlx_lm.fuse --model someone/Model-1B-4bit --adapter-path adapters
