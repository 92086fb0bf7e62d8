/* The tokenizer of a Hugging Face folder: which of its files is taken. */
#include <unistd.h>

#include "text/tokenizer_parts.h"

typedef struct tokenizer *opener(const char *path, const struct tokenizer_config *config,
                                 struct status *status);

/* In this order, as transformers' AutoTokenizer has it; NULL: refused by its name. */
static const struct {
    const char *name;
    opener *open;
} files[] = {
    {"tokenizer.json", tokenizer_open_json},
    {"tokenizer.model", tokenizer_open_llama},
    {"vocab.txt", tokenizer_open_vocab_txt},
    {"vocab.json", NULL},
};

struct tokenizer *tokenizer_open_folder(const char *folder, struct status *status)
{
    struct tokenizer_config config;
    struct tokenizer *tokenizer = NULL;
    struct buf path = {0};
    size_t i = 0;

    for (; i < sizeof(files) / sizeof(files[0]); i++) {
        buf_reset(&path);
        buf_printf(&path, "%s/%s", folder, files[i].name);
        if (access(path.data, F_OK) == 0)
            break;
    }
    if (i == sizeof(files) / sizeof(files[0])) {
        status_set(status, STATUS_NO_INPUT, "%s: no tokenizer in this folder", folder);
    } else if (!files[i].open) {
        status_set(status, STATUS_CONFIG, "%s: a tokenizer that is not known", path.data);
    } else if (tokenizer_config_read(&config, folder, status)) {
        tokenizer = files[i].open(path.data, &config, status);
        tokenizer_config_release(&config);
    }
    buf_release(&path);
    return tokenizer;
}
