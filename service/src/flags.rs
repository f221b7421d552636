//! Flags that may also come from the environment.

use clap::Command;

/// The same command, for which a variable of the environment that is set to nothing counts as not set: `NAME=` is what `.env` files
/// and compose leave behind of a value that nobody gave.
#[must_use]
pub fn without_empty_variables(command: Command) -> Command {
    command.mut_args(|arg| {
        let empty = arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
        if empty { arg.env(None::<&'static str>) } else { arg }
    })
}
