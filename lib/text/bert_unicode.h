/* Character classes as Hugging Face's tokenizers sees them in BERT's normaliser: its table of
 * general categories is that of Unicode 8.0, so what came later is neither punctuation, mark nor
 * format there. (Its lower case and white space are the current ones.)
 */
#ifndef TEXT_BERT_UNICODE_H
#define TEXT_BERT_UNICODE_H

#include <stdbool.h>
#include <stdint.h>

bool bert_unicode_is_punctuation(int32_t code_point);     /* P* */
bool bert_unicode_is_control(int32_t code_point);         /* Cc, Cf, Co, Cs */
bool bert_unicode_is_nonspacing_mark(int32_t code_point); /* Mn */

/* What StripAccents drops: M* of Unicode 9.0. */
bool bert_unicode_is_accent(int32_t code_point);

#endif
