/* The metadata of a GGUF that is written. */
#ifndef HN_CONVERT_GGUF_META_H
#define HN_CONVERT_GGUF_META_H

#include "convert/convert_impl.h"
#include "format/gguf_names.h"
#include "format/gguf_write.h"

/* llama.cpp's architecture of this family: "llama" for Mistral too. */
const char *hn_gguf_architecture(const struct hn_spec *s);
/* Add the model's numbers and vocabulary; a source that is a GGUF gives all its own. */
HN_MUST_USE int hn_converter_gguf_meta(struct hn_converter *c, struct hn_gguf_meta *m);

#endif
