# Fills the line @OPTIONS@ of a man page's source with the options that the tool's --help prints,
# so that the two cannot differ:  TOOL --help | awk -f man.awk - PAGE.1.scd
function escape(text) {
    gsub(/[\\*_]/, "\\\\&", text)
    return text
}
function flush_option() {
    if (term != "")
        options = options term "\n\t" escape(help) "\n\n"
    term = help = ""
}
# "  -m, --model PATH" -> *-m*, *--model* _PATH_
function term_of(text,    n, words, i, word, comma, out) {
    n = split(text, words, " ")
    for (i = 1; i <= n; i++) {
        word = words[i]
        comma = sub(/,$/, "", word) ? "," : ""
        word = word ~ /^-/ ? "*" escape(word) "*" : "_" escape(word) "_"
        out = out (i > 1 ? " " : "") word comma
    }
    return out
}
FNR == NR && /^(  |      )-/ {
    flush_option()
    line = substr($0, 1)
    sub(/^ +/, "", line)
    if (match(line, /  +/)) {
        term = term_of(substr(line, 1, RSTART - 1))
        help = substr(line, RSTART + RLENGTH)
    } else {
        term = term_of(line)
    }
    next
}
FNR == NR && /^    +[^ ]/ && term != "" {
    sub(/^ +/, "")
    help = help (help == "" ? "" : " ") $0
    next
}
FNR == NR && /^[A-Z].*:$/ {
    flush_option()
    sub(/:$/, "")
    options = options "## " $0 "\n\n"
    next
}
FNR == NR { next }
/^@OPTIONS@$/ {
    flush_option()
    sub(/\n\n$/, "", options)
    print options
    next
}
{ print }
