# What may stand at the cursor, as vault itself reads the words before it.
function __FUNCTION_at
    set -l words (commandline -opc)
    set -e words[1]
    set -l current (commandline -ct)
    command PROGRAM __complete -- $words "$current" 2>/dev/null
end

function __FUNCTION_expects
    set -l at (__FUNCTION_at)
    string match -q -- "$argv[1]*" "$at[1]"
end

function __FUNCTION_profiles
    set -l at (__FUNCTION_at)
    test "$at[1]" = profile
    and string join -- \n $at[2..-1]
end

function __FUNCTION_command
    set -l at (__FUNCTION_at)
    set -l words (commandline -opc)
    set -e words[1..(math 1 + (string replace 'command ' '' -- $at[1]))]
    set -l current (commandline -ct)
    complete -C (string join -- ' ' (string escape -- $words) "$current")
end

complete -c PROGRAM -n "__FUNCTION_expects profile" -f -a "(__FUNCTION_profiles)"
complete -c PROGRAM -n "__FUNCTION_expects command" -x -a "(__FUNCTION_command)"
