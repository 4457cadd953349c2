# hone pull without a hub: the rest is test/hub/test_pull.c.
$ hone pull
2> hone: which model? hone pull ORG/NAME
? 2
$ hone pull no-name
2> hone: "no-name" is no model of a hub: expected ORG/NAME or ORG/NAME@REVISION
? 2
$ hone pull acme/m --revision ..
2> hone: --revision ".." is no branch, tag or commit
? 2
$ hone pull acme/tiny
2> hone: model acme/tiny: there is no such folder or file here, and */home/.cache/huggingface/hub holds no such model (the cache is empty); HF_HUB_OFFLINE is set: without it, hone pull acme/tiny gets it (glob)
? 1
$ export HF_HUB_OFFLINE=0 HF_ENDPOINT=http://127.0.0.1:1 no_proxy='*'; hone pull acme/tiny
2> hone: acme/tiny is not in the cache (the cache is empty): asking for its files: the hub http://127.0.0.1:1 cannot be reached (*); see to the connection, or to HF_ENDPOINT (glob)
? 1
$ HF_HUB_OFFLINE=0 HF_ENDPOINT=http://127.0.0.1:1 hone info acme/tiny
2> hone: there is no folder or file acme/tiny here: acme/tiny is not in the cache (the cache is empty): asking for its files: the hub http://127.0.0.1:1 cannot be reached (*); see to the connection, or to HF_ENDPOINT (glob)
? 1
$ HF_HUB_OFFLINE=0 HF_ENDPOINT=huggingface.co hone pull acme/tiny
2> hone: HF_ENDPOINT is "huggingface.co", expected an address that begins with https://
? 1

# What is in the cache is found, whole or not.
$ mkdir -p ~/.cache/huggingface/hub/models--acme--tiny/snapshots/0123; cp $TEST/golden/llama-tied/config.json ~/.cache/huggingface/hub/models--acme--tiny/snapshots/0123
$ hone info acme/tiny
2> hone: model acme/tiny: its copy in the cache, */models--acme--tiny/snapshots/0123, is not complete (the weights are not there); hone pull acme/tiny gets the rest (glob)
? 1
$ cp $TEST/golden/llama-tied/*.* ~/.cache/huggingface/hub/models--acme--tiny/snapshots/0123
$ hone info acme/tiny | grep architecture
  architecture   llama
# mlx-lm's adapters name their base by another key than PEFT's
$ hone convert $TEST/golden/llama-tied/adapter --to mlx -o a > log; sed -i '/base_model_name_or_path/d; s|"model": null|"model": "acme/tiny"|' a/adapter_config.json; hone info a | grep 'adapter  *a,'
  adapter        a, rank 4, * parameters (glob)
$ hone pull acme/tiny
note: HF_HUB_OFFLINE is set; the copy in the cache is used
*/models--acme--tiny/snapshots/0123 (glob)
$ hone info acme/tinny
2> hone: model acme/tinny: there is no such folder or file here, and */home/.cache/huggingface/hub holds no such model (did you mean acme/tiny?); HF_HUB_OFFLINE is set: without it, hone pull acme/tinny gets it (glob)
? 1
