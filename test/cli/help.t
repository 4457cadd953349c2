# What every user meets first.
$ hone --version
hone 0.1.0
$ hone version
hone 0.1.0
$ hone
hone: fine-tune and run language models on this machine

usage: hone COMMAND [options]

  prepare     turn records into training data, and say what is in them
  train       fine-tune a model on your data (hone lora is the same)
  generate    write text with a model
  chat        talk with a model, turn by turn
  test        measure a model on held-out rows
  tokenize    text to token ids and back
  info        describe a model, and plan the memory of a run
  bench       measure speed against this machine's limits
  migrate     turn a notebook, script or config into hone's settings
  pull        download a model from a hub
  report      write report.html and metrics.csv of a training run again
  compare     lay two models side by side, or hone and PyTorch
  convert     write a model, or an adapter, in another system's form
  fuse        merge an adapter into its base model
  help        explain a command
  version     print the version

hone help COMMAND explains one of them.
$ hone --help | head -1
hone: fine-tune and run language models on this machine
$ hone help tokenize
usage: hone tokenize [FILE] [options]

text to token ids and back

Prints one JSON array of ids: of --text as one input, else of each line of FILE
or standard input.

Model:
  --model MODEL               a model's folder, a .gguf file, an adapter's
                              folder, or ORG/NAME from the cache

Input:
  -t, --text TEXT             one input, whole, newlines and all
  -d, --decode                the way back: arrays of ids to text
  --[no-]special              add the special tokens that the tokenizer adds;
                              when decoding, show them (default on)

Examples:
  hone tokenize --model ./model --text "Hello, world"
  echo '[504, 905]' | hone tokenize --model ./model --decode
$ hone tokenize --help | cmp - <(hone help tokenize)
$ hone train -h | sed -n 3p
fine-tune a model on your data (hone lora is the same)
$ hone lora --help | cmp - <(hone train --help)
$ hone help --markdown | cmp - $TEST/../docs/options.md
