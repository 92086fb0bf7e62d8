# Bash completion of all tools, from what their --help prints, so that the two cannot differ:
#     { TOOL --help; ... } | awk -f completion.awk
function flush() {
    if (option == "")
        return
    # "[head, tail, error; default head]"
    if (match(help, /\[[a-z0-9-]+(, [a-z0-9-]+)+; default/))
        values = substr(help, RSTART + 1, RLENGTH - length("[; default"))
    else if (argument ~ /FILE|DIR|PATH|MODEL/)
        values = "@"
    else
        values = argument == "" ? "" : "?"
    gsub(/, /, " ", values)
    if (argument != "" && option !~ /^--no-/)
        printf "_medrat_values[%s %s]='%s'\n", tool, option, values
    if (letter != "" && argument != "")
        printf "_medrat_values[%s %s]='%s'\n", tool, letter, values
    names[tool] = names[tool] " " all
    option = letter = argument = help = all = ""
}
BEGIN {
    print "# Made from the tools' --help. Bash 4 or later."
    print "declare -A _medrat_options _medrat_values"
}
/^usage: / { flush(); tool = $2; tools = tools " " tool; next }
/^(  |      )-/ {
    flush()
    line = $0
    sub(/^ +/, "", line)
    if (match(line, /  +/)) {
        help = substr(line, RSTART + RLENGTH)
        line = substr(line, 1, RSTART - 1)
    }
    n = split(line, words, " ")
    for (i = 1; i <= n; i++) {
        word = words[i]
        sub(/,$/, "", word)
        if (word ~ /^-[^-]$/)
            letter = word
        else if (word ~ /^--/) {
            option = option == "" ? word : option
            all = all (all == "" ? "" : " ") word
        } else
            argument = word
    }
    next
}
/^    / { sub(/^ +/, ""); help = help " " $0; next }
{ flush() }
END {
    flush()
    n = split(tools, list, " ")
    for (i = 1; i <= n; i++)
        printf "_medrat_options[%s]='%s'\n", list[i], substr(names[list[i]], 2)
    print "_medrat() {"
    print "    local tool=${1##*/} current=$2 before=$3 values"
    print "    if [ \"$current\" = = ]; then # --option=, which readline cuts in three"
    print "        current="
    print "    elif [ \"$before\" = = ]; then"
    print "        before=${COMP_WORDS[COMP_CWORD - 2]}"
    print "    fi"
    print "    values=${_medrat_values[$tool $before]-@}"
    print "    COMPREPLY=()"
    print "    if [ \"$values\" = @ ] && [ \"${current:0:1}\" = - ]; then"
    print "        mapfile -t COMPREPLY < <(compgen -W \"${_medrat_options[$tool]}\" -- \"$current\")"
    print "    elif [ \"$values\" = @ ]; then"
    print "        compopt -o filenames 2>/dev/null || : # only while bash completes"
    print "        mapfile -t COMPREPLY < <(compgen -f -- \"$current\")"
    print "    elif [ \"$values\" != '?' ]; then"
    print "        mapfile -t COMPREPLY < <(compgen -W \"$values\" -- \"$current\")"
    print "    fi"
    print "}"
    print "complete -F _medrat" tools
}
