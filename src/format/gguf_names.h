/* Tensor names: llama.cpp's and Hugging Face's. */
#ifndef HN_FORMAT_GGUF_NAMES_H
#define HN_FORMAT_GGUF_NAMES_H

#include "base/arena.h"

/* Hugging Face's name of a GGUF tensor, copied into the arena; the stored name itself when there is
 * none; NULL: no memory. */
const char *hn_gguf_hf_name(struct hn_arena *arena, const char *stored);
/* Does this architecture of llama.cpp store the rows of q and k interleaved? */
bool hn_gguf_interleaved(const char *architecture);
/* The way back. */
const char *hn_gguf_stored_name(struct hn_arena *arena, const char *name);

#endif
