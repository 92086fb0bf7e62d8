#include "formats/known_models.h"

/* Revision c170c708c41dac9275d15a8fff4eca08d52bab71. Files that changed since the first one
 * (tokenizer_config.json) are left out, and so is consolidated.safetensors, which is not read. */
static const struct known_file mistral_7b[] = {
    {"config.json", 601, "affafc6478ec0fd07a32f0ca57aa2fc57743f4d17d6730f86a96ac24d1507f99", true},
    {"generation_config.json", 116,
     "b4669f1b8f4185324bd9b12a69e85a1ad2289bc48111ef739cfaaea3bba6b0a9", false},
    {"model-00001-of-00003.safetensors", UINT64_C(4949453792),
     "ce6fb6f6f4d0183f4813cbf4ece24109da629a08d4210da46f77e1d8b0bd5c19", true},
    {"model-00002-of-00003.safetensors", UINT64_C(4999819336),
     "8c0e72f148366b6a3709e002a98706a33d31aec8515090c856c95b2044f92ae0", true},
    {"model-00003-of-00003.safetensors", UINT64_C(4546807800),
     "905dd405363e43d95779c1c1155a2dbfd36155914ae95dbd934e12e490cfb4ca", true},
    {"model.safetensors.index.json", 23950,
     "e489ba553b87cde188d921b1a8283c2e0b9d33d635b88147d96ff0fcd6250016", true},
    {"special_tokens_map.json", 414,
     "6fa06efa2785e450051989a6f8fb4416b10149ded485ddd3f127a40734f5cfd0", false},
    {"tokenizer.json", 1961548, "e553af6fff7d7ad76e830608b218c5c0b0822998d5a1a96099a74cd3c1cb1a49",
     true},
    {"tokenizer.model", 587404, "37f00374dea48658ee8f5d0f21895b9bc55cb0103939607c8185bfd1c6ca1f89",
     false},
    {"tokenizer.model.v3", 587404,
     "37f00374dea48658ee8f5d0f21895b9bc55cb0103939607c8185bfd1c6ca1f89", false},
};

/* The demo models, as .make/models.sh fetches them. */
static const struct known_file smollm2[] = {
    {"SmolLM2-135M-Instruct.Q4_1.gguf", 98362432,
     "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53", true},
};
static const struct known_file minilm[] = {
    {"model.safetensors", 90868376,
     "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db", true},
};

#define FILES(list) list, sizeof(list) / sizeof(list[0])

const struct known_model known_models[] = {
    {"mistralai/Mistral-7B-Instruct-v0.3", FILES(mistral_7b), "config.json"},
    {"smollm2", FILES(smollm2), "SmolLM2-135M-Instruct.Q4_1.gguf"},
    {"minilm", FILES(minilm), "model.safetensors"},
};
const size_t known_models_n = sizeof(known_models) / sizeof(known_models[0]);

const struct known_file *known_models_file(const struct known_model *model, struct text name)
{
    for (size_t i = 0; i < model->n_files; i++) {
        if (text_is(name, model->files[i].name))
            return &model->files[i];
    }
    return NULL;
}
