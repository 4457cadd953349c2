# Prints C sources as FILE:LINE:CODE with comments and the insides of string and character literals
# taken out, so that a check meets code only.  Written for any awk.
FNR == 1 { in_comment = 0 }
{
    s = $0; out = ""; n = length(s); i = 1
    while (i <= n) {
        c = substr(s, i, 1); d = substr(s, i, 2)
        if (in_comment) {
            if (d == "*/") { in_comment = 0; i += 2 } else i++
        } else if (d == "/*") {
            in_comment = 1; i += 2
        } else if (d == "//") {
            break
        } else if (c == "\"" || c == "'") {
            # An include's name stays: checks of edges read it.
            if (out ~ /^[ \t]*#[ \t]*include/) { out = out substr(s, i); break }
            quote = c; out = out c; i++
            while (i <= n && substr(s, i, 1) != quote) {
                if (substr(s, i, 1) == "\\") i++
                i++
            }
            out = out quote; i++
        } else { out = out c; i++ }
    }
    print FILENAME ":" FNR ":" out
}
