/* tokenizer.json: for every way to lie, or to ask for what we do not know, the message that it
 * gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <jansson.h>

#include "file_bytes.h"
#include "text/tokenizer.h"

static const char bpe[] =
    "{'version':'1.0','truncation':null,'padding':null,'added_tokens':[{'id':5,'content':'<s>',"
    "'single_word':false,'lstrip':false,'rstrip':false,'normalized':false,'special':true}],"
    "'normalizer':null,'pre_tokenizer':{'type':'ByteLevel','add_prefix_space':false,"
    "'trim_offsets':true,'use_regex':true},'post_processor':null,'decoder':{'type':'ByteLevel',"
    "'add_prefix_space':true,'trim_offsets':true,'use_regex':true},'model':{'type':'BPE',"
    "'dropout':null,'unk_token':null,'continuing_subword_prefix':null,'end_of_word_suffix':null,"
    "'fuse_unk':false,'byte_fallback':false,'ignore_merges':false,'vocab':{'a':0,'b':1,'c':2,"
    "'ab':3,'abc':4},'merges':[['a','b'],['ab','c']]}}";

static const char wordpiece[] =
    "{'version':'1.0','added_tokens':[],'normalizer':{'type':'BertNormalizer','clean_text':true,"
    "'handle_chinese_chars':true,'strip_accents':null,'lowercase':true},'pre_tokenizer':{'type':"
    "'BertPreTokenizer'},'post_processor':null,'decoder':{'type':'WordPiece','prefix':'##',"
    "'cleanup':true},'model':{'type':'WordPiece','unk_token':'[UNK]',"
    "'continuing_subword_prefix':'##','max_input_chars_per_word':100,'vocab':{'[UNK]':0,'a':1}}}";

#define TOKEN(id, content, more)                                                                   \
    "{'id':" id ",'content':" content ",'single_word':false,'lstrip':false,'rstrip':false,"        \
    "'normalized':false,'special':false" more "}"
#define TEMPLATE(single, pair, specials)                                                           \
    "{'type':'TemplateProcessing','single':" single ",'pair':" pair ",'special_tokens':" specials  \
    "}"
#define A "{'Sequence':{'id':'A','type_id':0}}"
#define B "{'Sequence':{'id':'B','type_id':1}}"
#define S "{'SpecialToken':{'id':'<s>','type_id':0}}"
#define SPECIAL "{'<s>':{'id':'<s>','ids':[5],'tokens':['<s>']}}"
#define SPLIT(pattern, behavior)                                                                   \
    "{'type':'Sequence','pretokenizers':[{'type':'Split','pattern':" pattern                       \
    ",'behavior':'" behavior                                                                       \
    "','invert':false},{'type':'ByteLevel','add_prefix_space':false,'use_regex':false}]}"
#define REGEX(text) SPLIT("{'Regex':'" text "'}", "Isolated")

/* Put a value at a place ("model.vocab"; "": the whole) of a good file; the message must have this
 * in it. In the values, ' stands for ". */
struct bad {
    const char *place, *value, *message;
};

static const struct bad bad_bpe[] = {
    {"", "{", "line 1, column 1"},
    {"", "{'version':'1.0','version':'1.0'}", "duplicate object key"},
    {"version", "null", "version: missing"},
    {"version", "'2.0'", "version '2.0' is not known; 1.0 is"},
    {"extra", "1", "option 'extra' is not known"},
    /* model */
    {"model", "null", "model: must be an object"},
    {"model.type", "'Unigram'", "model: type 'Unigram' is not known; BPE and WordPiece are"},
    {"model.type", "'WordLevel'", "model: type 'WordLevel' is not known"},
    {"model.type", "7", "model: type: must be a string, is an integer"},
    {"model.extra", "1", "model: option 'extra' is not known"},
    {"model.dropout", "0.1", "model: dropout: drawn merges are not known"},
    {"model.dropout", "2", "model: dropout: must be a number from 0 to 1, is 2"},
    {"model.unk_token", "'<unk>'", "model: unk_token: not in the vocabulary"},
    {"model.continuing_subword_prefix", "'##'",
     "model: continuing_subword_prefix '##' is not known with BPE"},
    {"model.end_of_word_suffix", "'</w>'",
     "model: end_of_word_suffix '</w>' is not known with BPE"},
    {"model.byte_fallback", "true", "byte_fallback is not known with byte-level BPE"},
    {"model.fuse_unk", "1", "model: fuse_unk: must be true or false, is an integer"},
    {"model.vocab", "{}", "model: vocab: must be an object of tokens and ids"},
    {"model.vocab", "[]", "model: vocab: must be an object of tokens and ids"},
    {"model.vocab", "{'a':1}", "vocab: an id is not an integer from 0 to 0, as 1 tokens have it"},
    {"model.vocab", "{'a':-1}", "vocab: an id is not an integer from 0 to 0"},
    {"model.vocab", "{'a':'0'}", "vocab: an id is not an integer from 0 to 0"},
    {"model.vocab", "{'a':0,'b':0}", "vocab: two tokens have the id 0"},
    {"model.vocab", "{'':0,'a':1,'b':2,'c':3,'ab':4}", "token 0 is empty"},
    {"model.merges", "null", "model: merges: must be a list"},
    {"model.merges", "['ab']", "merges: 0 is neither 'left right' nor a list of two"},
    {"model.merges", "['a b','a b c']", "merges: 1 is neither"},
    {"model.merges", "['a ']", "merges: 0 is neither"},
    {"model.merges", "[['a']]", "merges: 0 is neither"},
    {"model.merges", "[['a',1]]", "merges: 0 is neither"},
    {"model.merges", "[['a','c']]", "merge 0 is not made of two tokens and a third"},
    {"model.merges", "[['a','b'],['a','b']]", "are the same"},
    /* added tokens */
    {"added_tokens", "{}", "added_tokens: must be a list, is an object"},
    {"added_tokens", "[7]", "added_tokens: 0: must be an object, is an integer"},
    {"added_tokens", "[" TOKEN("5", "''", "") "]", "added_tokens: 0: content: is empty"},
    {"added_tokens", "[" TOKEN("6", "'x'", "") "]", "added_tokens: 0: id: is 6, must be 5"},
    {"added_tokens", "[" TOKEN("5", "'a'", "") "]", "added_tokens: 0: id: is 5, must be 0"},
    {"added_tokens", "[" TOKEN("-1", "'x'", "") "]", "added_tokens: 0: id: must be an integer"},
    {"added_tokens", "[" TOKEN("5", "'x'", "") "," TOKEN("5", "'x'", "") "]",
     "added_tokens: 1: content: is there twice"},
    {"added_tokens", "[" TOKEN("5", "'x'", ",'odd':1") "]",
     "added_tokens: 0: option 'odd' is not known"},
    {"added_tokens", "[{'id':5,'content':'x'}]", "added_tokens: 0: single_word: missing"},
    /* normalizer */
    {"normalizer", "7", "normalizer: must be an object or null, is an integer"},
    {"normalizer", "{}", "normalizer: type: missing"},
    {"normalizer", "{'type':'Precompiled','precompiled_charsmap':''}",
     "normalizer: 'Precompiled' is not known"},
    {"normalizer", "{'type':'Nmt'}", "normalizer: 'Nmt' is not known"},
    {"normalizer", "{'type':'ByteLevel'}", "normalizer: 'ByteLevel' is not known"},
    {"normalizer", "{'type':'NFC','odd':1}", "normalizer: NFC: option 'odd' is not known"},
    {"normalizer", "{'type':'Sequence','normalizers':{}}",
     "normalizer: Sequence: must have a list 'normalizers'"},
    {"normalizer", "{'type':'Sequence','normalizers':[{'type':'Odd'}]}",
     "normalizer: 'Odd' is not known"},
    {"normalizer", "{'type':'Strip','strip_left':true}", "normalizer: Strip: strip_right: missing"},
    {"normalizer", "{'type':'Replace','pattern':{'String':''},'content':''}",
     "normalizer: Replace: pattern: is empty"},
    {"normalizer", "{'type':'Replace','pattern':'a','content':''}",
     "normalizer: Replace: pattern: must be an object with one string"},
    {"normalizer", "{'type':'Replace','pattern':{'Regex':'('},'content':''}",
     "normalizer: Replace: pattern: missing closing parenthesis"},
    {"normalizer", "{'type':'Prepend','prepend':7}",
     "normalizer: Prepend: prepend: must be a string"},
    /* pre_tokenizer */
    {"pre_tokenizer", "{'type':'Whitespace'}", "pre_tokenizer: 'Whitespace' is not known"},
    {"pre_tokenizer", "{'type':'UnicodeScripts'}", "pre_tokenizer: 'UnicodeScripts' is not known"},
    {"pre_tokenizer", "{'type':'ByteLevel'}",
     "pre_tokenizer: ByteLevel: add_prefix_space: missing"},
    {"pre_tokenizer", "{'type':'ByteLevel','add_prefix_space':true,'odd':1}",
     "pre_tokenizer: ByteLevel: option 'odd' is not known"},
    {"pre_tokenizer",
     "{'type':'Sequence','pretokenizers':[{'type':'ByteLevel','add_prefix_space':true},{'type':"
     "'Digits','individual_digits':true}]}",
     "pre_tokenizer: 'Digits' after ByteLevel is not known"},
    {"pre_tokenizer",
     "{'type':'Sequence','pretokenizers':[{'type':'BertPreTokenizer'},{'type':'ByteLevel',"
     "'add_prefix_space':true}]}",
     "pre_tokenizer: 'BertPreTokenizer' is not known with byte-level BPE"},
    {"pre_tokenizer", SPLIT("{'Regex':'a'}", "Sideways"),
     "pre_tokenizer: Split: behavior 'Sideways' is not known"},
    {"pre_tokenizer", SPLIT("{'Glob':'a'}", "Isolated"),
     "pre_tokenizer: Split: pattern: must be an object with one string"},
    {"pre_tokenizer", REGEX("a\\\\hb"), "pre_tokenizer: Split: pattern: '\\h' is not known"},
    {"pre_tokenizer", REGEX("\\\\bword"), "pattern: '\\b' is not known"},
    {"pre_tokenizer", REGEX("[a\\\\W]"), "pattern: '\\W' is not known in brackets"},
    {"pre_tokenizer", REGEX("[a[b]]"), "pattern: '[' in brackets is not known"},
    {"pre_tokenizer", REGEX("[a-z&&b]"), "pattern: '&&' in brackets is not known"},
    {"pre_tokenizer", REGEX("[]a]"), "pattern: empty brackets"},
    {"pre_tokenizer", REGEX("a{2,3}+"), "pattern: '}+' is not known"},
    {"pre_tokenizer", REGEX("(*COMMIT)a"), "pattern: '(*' is not known"},
    {"pre_tokenizer", REGEX("(?<name>a)"), "pattern: '(?<' is not known"},
    {"pre_tokenizer", REGEX("(?P<name>a)"), "pattern: '(?P' is not known"},
    {"pre_tokenizer", REGEX("a)"), "pattern: unmatched closing parenthesis"},
    {"pre_tokenizer", REGEX("\\\\p{Klingon}"), "pattern: unknown property"},
    {"pre_tokenizer", REGEX("\\\\"), "pattern: '\\?' is not known"},
    /* post_processor */
    {"post_processor", "7", "post_processor: must be an object or null, is an integer"},
    {"post_processor", "{'type':'Odd'}", "post_processor: 'Odd' is not known"},
    {"post_processor", "{'type':'Sequence','processors':7}",
     "post_processor: Sequence: must have a list 'processors'"},
    {"post_processor", TEMPLATE("7", "[]", "{}"),
     "post_processor: TemplateProcessing: single: must be a list"},
    {"post_processor", TEMPLATE("[]", "[]", "{}"), "single: must have A and no B once"},
    {"post_processor", TEMPLATE("[" A "," A "]", "[]", "{}"), "single: must have A and no B once"},
    {"post_processor", TEMPLATE("[" A "]", "[" A "]", "{}"), "pair: must have A and B once"},
    {"post_processor", TEMPLATE("[" A "," S "]", "[" A "," B "]", "{}"),
     "single: special_tokens: no ids for '<s>'"},
    {"post_processor", TEMPLATE("[" S "," A "]", "[" A "," B "]", "{'<s>':{'ids':[9]}}"),
     "single: special_tokens: '<s>' has an id without a token"},
    {"post_processor", TEMPLATE("['A']", "[]", "{}"),
     "single: an item must be a Sequence or a SpecialToken"},
    {"post_processor", TEMPLATE("[{'Sequence':{'id':'C','type_id':0}}]", "[]", "{}"),
     "single: Sequence 'C' is not known"},
    {"post_processor", TEMPLATE("[{'Sequence':{'id':'A'}}]", "[]", "{}"),
     "single: type_id: missing"},
    {"post_processor",
     "{'type':'Sequence','processors':[" TEMPLATE("[" A "]", "[" A "," B "]", SPECIAL) "," TEMPLATE(
         "[" A "]", "[" A "," B "]", SPECIAL) "]}",
     "post_processor: 'TemplateProcessing' after another is not known"},
    {"post_processor", "{'type':'BertProcessing','sep':['<s>',5]}",
     "post_processor: BertProcessing: cls: must be a token and its id"},
    {"post_processor", "{'type':'RobertaProcessing','sep':['<s>',9],'cls':['<s>',5]}",
     "post_processor: RobertaProcessing: sep: must be a token and its id"},
    /* decoder */
    {"decoder", "null", "decoder: null is not known with byte-level BPE"},
    {"decoder", "{'type':'BPEDecoder','suffix':'</w>'}", "decoder: 'BPEDecoder' is not known"},
    {"decoder", "{'type':'CTC'}", "decoder: 'CTC' is not known"},
    {"decoder", "{'type':'Fuse'}", "decoder: 'Fuse' is not known with byte-level BPE"},
    {"decoder", "{'type':'Strip','content':'ab','start':0,'stop':0}",
     "decoder: Strip: content: must be one character"},
    {"decoder", "{'type':'Strip','content':'a','start':-1,'stop':0}",
     "decoder: Strip: start: must be an integer from 0"},
    {"decoder",
     "{'type':'Metaspace','replacement':'_','prepend_scheme':'first','add_prefix_space':false}",
     "decoder: Metaspace: add_prefix_space: false, but prepend_scheme is not 'never'"},
    {"decoder", "{'type':'Metaspace','replacement':'_','prepend_scheme':'last'}",
     "decoder: Metaspace: prepend_scheme 'last' is not known"},
};

static const struct bad bad_wordpiece[] = {
    {"model.unk_token", "null", "model: unk_token: missing"},
    {"model.max_input_chars_per_word", "0", "model: max_input_chars_per_word: must be an integer"},
    {"model.continuing_subword_prefix", "'@@'",
     "model: a continuing_subword_prefix other than '##' is not known"},
    {"pre_tokenizer", "null", "pre_tokenizer: null is not known with WordPiece"},
    {"pre_tokenizer", "{'type':'ByteLevel','add_prefix_space':true}",
     "pre_tokenizer: 'ByteLevel' is not known with WordPiece"},
    {"decoder", "{'type':'ByteLevel'}", "decoder: 'ByteLevel' is not known with WordPiece"},
    {"normalizer.strip_accents", "1",
     "normalizer: BertNormalizer: strip_accents: must be true or false, is an integer"},
    {"added_tokens",
     "[{'id':2,'content':' ','single_word':false,'lstrip':false,'rstrip':false,'normalized':true,"
     "'special':false}]",
     ""}, /* white space stays: this one is good */
    {"added_tokens",
     "[{'id':2,'content':'\\u0301','single_word':false,'lstrip':false,'rstrip':false,"
     "'normalized':true,'special':false}]",
     "added_tokens: token 2 is empty when normalised"},
};

static char folder[64];

static int make_test_folder(void **state)
{
    (void)state;
    make_folder(folder);
    return 0;
}

static int remove_test_folder(void **state)
{
    (void)state;
    remove_file(folder, "tokenizer.json");
    rmdir(folder);
    return 0;
}

static char *with_quotes(const char *text)
{
    char *copy = strdup(text);

    for (char *c = copy; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    return copy;
}

static json_t *parse(const char *text)
{
    char *quoted = with_quotes(text);
    json_error_t error;
    json_t *value = json_loads(quoted, JSON_DECODE_ANY, &error);

    if (!value)
        fail_msg("%s: %s", error.text, quoted);
    free(quoted);
    return value;
}

/* The good file with the value in its place, as text; the caller frees it. */
static char *change(const char *good, const struct bad *bad)
{
    json_t *tree = parse(good), *part = tree;
    const char *dot = strchr(bad->place, '.');
    char *text;

    if (bad->place[0] == '\0') {
        json_decref(tree);
        return with_quotes(bad->value);
    }
    if (dot)
        part = json_object_getn(tree, bad->place, (size_t)(dot - bad->place));
    json_object_set_new(part, dot ? dot + 1 : bad->place, parse(bad->value));
    text = json_dumps(tree, 0);
    json_decref(tree);
    return text;
}

/* "" as the message: the file is good. */
static void check(const char *good, const struct bad *bad)
{
    struct status status = {0};
    struct buf path = {0};
    char *text = change(good, bad);
    struct tokenizer *tokenizer;

    write_text(folder, "tokenizer.json", text);
    buf_printf(&path, "%s/tokenizer.json", folder);
    tokenizer = tokenizer_open(path.data, &status);
    if ((tokenizer != NULL) != (bad->message[0] == '\0'))
        fail_msg("%s = %s: '%s'", bad->place, bad->value, status.message);
    if (!tokenizer && (!strstr(status.message, bad->message) ||
                       !strstr(status.message, "tokenizer.json: ") || status.code != STATUS_CONFIG))
        fail_msg("'%s' is not in '%s'", bad->message, status.message);
    tokenizer_close(tokenizer);
    buf_release(&path);
    free(text);
}

static void refuses_what_it_cannot_read_or_does_not_know(void **state)
{
    (void)state;
    check(bpe, &(struct bad){"version", "'1.0'", ""});
    for (size_t i = 0; i < sizeof(bad_bpe) / sizeof(bad_bpe[0]); i++)
        check(bpe, &bad_bpe[i]);
}

static void refuses_wordpiece_that_is_none(void **state)
{
    (void)state;
    check(wordpiece, &(struct bad){"version", "'1.0'", ""});
    for (size_t i = 0; i < sizeof(bad_wordpiece) / sizeof(bad_wordpiece[0]); i++)
        check(wordpiece, &bad_wordpiece[i]);
}

/* A pattern that goes back and forth without end is stopped, on text that gives it reason to. */
static void gives_up_on_a_pattern_that_takes_too_long(void **state)
{
    struct bad slow = {"pre_tokenizer", REGEX("(a|aa|aaa)+[bc]"), ""};
    struct status status = {0};
    struct buf path = {0}, text = {0};
    struct tokens tokens = {0};
    char *file = change(bpe, &slow);
    struct tokenizer *tokenizer;

    (void)state;
    write_text(folder, "tokenizer.json", file);
    buf_printf(&path, "%s/tokenizer.json", folder);
    tokenizer = tokenizer_open(path.data, &status);
    assert_non_null(tokenizer);
    assert_true(tokenizer_encode(tokenizer, text_of("ababc"), TOKENIZER_SPECIAL, &tokens, &status));
    assert_int_equal(tokens.n, 3); /* ab ab c */
    for (int i = 0; i < 4096; i++)
        buf_append_char(&text, 'a');
    assert_false(tokenizer_encode(tokenizer, buf_text(&text), TOKENIZER_SPECIAL, &tokens, &status));
    assert_int_equal(status.code, STATUS_INPUT);
    assert_non_null(strstr(status.message, "pattern takes too many steps"));
    assert_int_equal(tokens.n, 3); /* as it was */
    tokenizer_close(tokenizer);
    tokens_release(&tokens);
    buf_release(&text);
    buf_release(&path);
    free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_what_it_cannot_read_or_does_not_know),
        cmocka_unit_test(refuses_wordpiece_that_is_none),
        cmocka_unit_test(gives_up_on_a_pattern_that_takes_too_long),
    };

    return cmocka_run_group_tests_name("tokenizer_json_bad", tests, make_test_folder,
                                       remove_test_folder);
}
