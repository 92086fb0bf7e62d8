# The contract of formats/README.md as a man page's source, so that there is one text of it:
#     awk -f man-schema.awk formats/README.md >medrat.7.scd
# Its sections about records, and about the files beside them.
function escape(text) {
    gsub(/[\\*_]/, "\\\\&", text)
    return text
}
# `code` and **words** become bold, [text](target) its text.
function inline(text,    out, part, n, i) {
    while (match(text, /\[[^]]*\]\([^)]*\)/)) {
        part = substr(text, RSTART + 1, index(substr(text, RSTART), "](") - 2)
        text = substr(text, 1, RSTART - 1) part substr(text, RSTART + RLENGTH)
    }
    gsub(/\*\*/, "`", text)
    n = split(text, pieces, "`")
    out = ""
    for (i = 1; i <= n; i++)
        out = out (i % 2 ? escape(pieces[i]) : pieces[i] == "" ? "" : "*" escape(pieces[i]) "*")
    return out
}
# A table becomes a list: the first cell, and behind it the others, those between with their headings.
function row(line, first,    n, cells, i, text) {
    sub(/^\| */, "", line)
    sub(/ *\|$/, "", line)
    n = split(line, cells, / *\| */)
    if (first) {
        split(line, headings, / *\| */)
        return
    }
    for (i = 2; i <= n; i++)
        if (cells[i] != "")
            text = text (text == "" ? "" : "; ") (n > 2 ? headings[i] ": " : "") inline(cells[i])
    print inline(cells[1]) "\n\t" text
}
function leave_literal() {
    if (literal)
        print "```"
    literal = 0
}
BEGIN {
    print "medrat(7)\n\n# NAME\n\nmedrat - records: what the tools of medrat read, add and refuse\n"
    print "# DESCRIPTION\n"
    print "*medrat-tokenize*(1), *medrat-gen*(1), *medrat-score*(1), *medrat-rerank*(1) and *medrat-train*(1) read and"
    print "write JSON, an object a line. This is the contract between them.\n"
}
/^## / {
    inside = $0 == "## Records" || $0 == "## Files beside the records"
    if (inside)
        print "# " toupper(substr($0, 4))
    next
}
!inside { next }
/^### / { print "## " substr($0, 5); next }
/^    / {
    if (!literal)
        print "```"
    literal = 1
    print substr($0, 5)
    next
}
{ leave_literal() }
/^\|[-|]*\|$/ { next }
/^\|/ { row($0, !in_table); in_table = 1; next }
{ in_table = 0; print inline($0) }
END {
    leave_literal()
    print "\n# SEE ALSO\n\n*medrat-tokenize*(1), *medrat-gen*(1), *medrat-score*(1), *medrat-rerank*(1), *medrat-train*(1)"
}
