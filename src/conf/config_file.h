/* Config files: hone's own and mlx_lm.lora's YAML in, train.yaml out. */
#ifndef HN_CONF_CONFIG_FILE_H
#define HN_CONF_CONFIG_FILE_H

#include "base/buf.h"
#include "conf/conf.h"

/* Read the file into the settings, below what the command line says. */
HN_MUST_USE int hn_config_read(struct hn_conf *c, const char *path, struct hone_err *err);
/* The same from memory; name is for messages. */
HN_MUST_USE int hn_config_parse(struct hn_conf *c, const char *name, const char *text, size_t n,
                                struct hone_err *err);

/* Every training setting spelt out, block style, canonical keys: reading it again gives the same
 * settings. */
void hn_config_write(const struct hn_conf *c, struct hn_buf *out);

/* A string as a YAML scalar: plain where that reads back as the same string, else double-quoted. */
void hn_yaml_put_string(struct hn_buf *out, const char *s);

#endif
