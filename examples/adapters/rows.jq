# The rows that the demo adapter is trained on, or held against: jq -c --arg part train|validation.
# A tenth of the questions, by a hash of their letters and digits, is for validation, so that none
# stands on both sides. Left out are rows whose text is not the template around query and
# rationales, that have another number of rationales than the template asks for, or the same twice.
def key: ascii_downcase | gsub("[^a-z0-9]+"; " ") | ltrimstr(" ") | rtrimstr(" ");
def hash: reduce explode[] as $c (7; (. * 31 + $c) % 1000003);
def asked: "### Instruction:\nGiven the user query below, generate 3 concise rationales (1–2 sentences each) "
    + "describing what evidence a correct passage should contain.\n\n### Query:\n\(.query)\n\n### Response:\n";

select((.rationales | length) == 3)
| select((.rationales | map(key) | unique | length) == 3)
| select(.text == asked + (.rationales | join("\n")))
| select(((.query | key | hash) % 10 == 0) == ($part == "validation"))
| {id, query, rationales}
