/* A selection -> the members `evidence` and `selection` of its record. formats/README.md has their
 * schema. */
#ifndef RANK_EVIDENCE_H
#define RANK_EVIDENCE_H

#include "rank/meteora.h"

struct evidence {
    const struct passages *passages;
    const struct meteora_scores *scores;
    const struct meteora *meteora;
    const bool *truncated; /* [n]: the encoder read the passage's beginning only; NULL: none */
    size_t n_truncated;    /* passages, rationales and query that the encoder cut */
    const char *method;    /* as --method names it */
    const char *encoder;   /* or cross-encoder: short name and hash; NULL where none was used */
    bool query_alone;      /* the method wanted rationales and there were none */
};

/* Appends `"evidence":[...],"selection":{...}`. */
void evidence_write(const struct evidence *evidence, struct buf *out);

#endif
