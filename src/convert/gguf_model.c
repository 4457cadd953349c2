/* A GGUF file of a model: metadata, vocabulary, tensors. */
#include "convert/convert_impl.h"

int hn_converter_write_gguf(struct hn_converter *c, const char *path)
{
    (void)path;
    return hn_fail(c->err, HONE_FAILED, "%s: hone cannot write a GGUF yet", c->o->model);
}
