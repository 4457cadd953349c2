/* From a model's name to the files that hold it. */
#ifndef HONE_HUB_H
#define HONE_HUB_H

#include "hone/err.h"

/* The path that a name given as --model stands for, hn_free'd by hone_free:
 *   an existing directory or .gguf file: itself;
 *   ORG/NAME: the newest snapshot in the Hugging Face cache (HF_HUB_CACHE, else HF_HOME/hub, else
 *   ~/.cache/huggingface/hub), or the one .gguf file in it when it holds no config.json.
 * Fails with HONE_NOT_FOUND and a message that says what was looked for, where, which names in the
 * cache come near, and how to get the model.  Never goes to the network. */
int hone_model_locate(const char *name, char **path, struct hone_err *err);

#endif
