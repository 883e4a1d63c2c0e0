# What may stand at the cursor, as vault itself reads the words before it.
function __vault_at
    set -l words (commandline -opc)
    set -e words[1]
    set -l current (commandline -ct)
    command vault __complete -- $words "$current" 2>/dev/null
end

function __vault_expects
    set -l at (__vault_at)
    string match -q -- "$argv[1]*" "$at[1]"
end

function __vault_profiles
    set -l at (__vault_at)
    test "$at[1]" = profile
    and string join -- \n $at[2..-1]
end

function __vault_command
    set -l at (__vault_at)
    set -l words (commandline -opc)
    set -e words[1..(math 1 + (string replace 'command ' '' -- $at[1]))]
    set -l current (commandline -ct)
    complete -C (string join -- ' ' (string escape -- $words) "$current")
end

complete -c aws-vault -w vault
complete -c vault -n "__vault_expects profile" -f -a "(__vault_profiles)"
complete -c vault -n "__vault_expects command" -x -a "(__vault_command)"
