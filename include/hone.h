/* hone: fine-tuning and running language models.  The whole public interface.
 *
 * Every function that can fail returns 0 or a negative enum hone_code and fills the struct hone_err
 * passed last with one sentence.  No function prints or exits.  Strings are UTF-8. */
#ifndef HONE_H
#define HONE_H

#include "hone/err.h"
#include "hone/model.h"
#include "hone/tokenizer.h"
#include "hone/data.h"
#include "hone/generate.h"
#include "hone/conversation.h"
#include "hone/test.h"
#include "hone/compare.h"
#include "hone/train.h"
#include "hone/bench.h"
#include "hone/hub.h"
#include "hone/convert.h"
#include "hone/fuse.h"

#define HONE_VERSION "0.1.0"

#endif
