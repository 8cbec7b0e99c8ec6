"""From ``chat:app`` on the command line to the application object.

The user's module runs here for the first time, so this is where most first mistakes show. Each
gives one line that says where to look.
"""

from __future__ import annotations

import difflib
import importlib
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from wsframe.errors import StartError

if TYPE_CHECKING:
    from wsframe.server.app import App

USUAL_FILES: Final = ("chat.py", "app.py", "main.py")
"""Where the application is looked for when the command line names none; the first that exists."""

_EXAMPLE: Final = "Name it as MODULE:ATTRIBUTE, for example: wsframe run chat:app"


def load_app(target: str | None, *, factory: bool = False) -> App:
    """Import the application that ``target`` names. The working directory is on ``sys.path``.

    Args:
        target: ``module:attribute``; without attribute, ``app`` (``create_app`` for a factory).
            None: in the first of :data:`USUAL_FILES` that exists.
        factory: the attribute is a function that returns the application.

    Raises:
        StartError: there is no such module or attribute, it is no application, or the module fails.
    """
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    target = target or _usual_target()
    module_name, _, path = target.partition(":")
    if module_name.endswith(".py") or os.sep in module_name:
        name = ".".join(Path(module_name).with_suffix("").parts)
        raise StartError(
            f"{target}: this is a file; a module is needed",
            hint=f"Did you mean {name}:{path or 'app'}?",
        )
    module = _import(module_name, target)
    found = _attribute(module, path or ("create_app" if factory else "app"))
    if factory:
        found = _call(found, target)
    return _checked(found, target, factory=factory)


def _usual_target() -> str:
    for name in USUAL_FILES:
        if Path(name).is_file():
            return f"{Path(name).stem}:app"
    raise StartError(f"no application: there is no {' or '.join(USUAL_FILES)} here", hint=_EXAMPLE)


def _import(name: str, target: str) -> ModuleType:
    if not name or not all(part.isidentifier() for part in name.split(".")):
        raise StartError(f"{target}: {name!r} is not the name of a module", hint=_EXAMPLE)
    try:
        return importlib.import_module(name)
    except StartError:
        raise
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise _failure(error) from error
        modules = [file.stem for file in Path().glob("*.py")]
        near = difflib.get_close_matches(name, modules, n=1)
        rest = target.partition(":")[2] or "app"
        raise StartError(
            f"{target}: there is no module {error.name!r} in {Path.cwd()} or on Python's path",
            hint=f"Did you mean {near[0]}:{rest}?" if near else _EXAMPLE,
        ) from error
    except (Exception, SystemExit) as error:
        raise _failure(error) from error


def _failure(error: BaseException) -> StartError:
    """The error of a user's module in one line: the way through their files, then what happened."""
    places: list[tuple[str, int]] = []
    line = ""
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.lineno is not None and _is_of_the_user(frame.filename):
            places.append((frame.filename, frame.lineno))
            line = frame.line or ""
    text = str(error)
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        places.append((error.filename, error.lineno))
        text, line = error.msg, (error.text or "").strip()
    way = " > ".join(f"{_shown(name)}:{number}" for name, number in places[-3:])
    what = f"{type(error).__name__}: {text}" if text else type(error).__name__
    hint = f"The line reads: {line}" if line else None
    if isinstance(error, SystemExit):
        what = "the module ends the program while it is imported"
        hint = 'What starts or ends a program belongs under: if __name__ == "__main__":'
    return StartError(f"{way}: {what}" if way else what, hint=hint)


def _is_of_the_user(filename: str) -> bool:
    path = Path(filename)
    if filename.startswith("<") or "site-packages" in path.parts:
        return False
    library, ourselves = Path(traceback.__file__).parent, Path(__file__).parent.parent
    return not path.is_relative_to(library) and not path.is_relative_to(ourselves)


def _shown(filename: str) -> str:
    path = Path(filename)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else filename


def _attribute(module: ModuleType, path: str) -> Any:
    found: Any = module
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise StartError(
                f"{module.__name__}:{path}: module {module.__name__!r} has no {path!r}",
                hint=_known_applications(module, path),
            ) from None
    return found


def _known_applications(module: ModuleType, path: str) -> str:
    from wsframe.server.app import App

    apps = [name for name, value in vars(module).items() if isinstance(value, App)]
    if apps:
        return f"Did you mean {module.__name__}:{apps[0]}?"
    near = difflib.get_close_matches(path, list(vars(module)), n=1)
    if near:
        return f"Did you mean {module.__name__}:{near[0]}?"
    return f"An application is made with: {path.partition('.')[0]} = wsframe.App()"


def _call(factory: Any, target: str) -> Any:
    if not callable(factory):
        raise StartError(f"{target}: this is no function", hint="Leave --factory out.")
    try:
        return factory()
    except StartError:
        raise
    except (Exception, SystemExit) as error:
        raise _failure(error) from error


def _checked(found: Any, target: str, *, factory: bool) -> App:
    from wsframe.server.app import App

    if isinstance(found, App):
        return found
    what = f"a {type(found).__name__}"
    if isinstance(found, type):
        what = f"the class {found.__name__}"
    if factory:
        raise StartError(f"{target}: returned {what}, not a wsframe App")
    is_function = callable(found) and hasattr(found, "__code__")
    hint = f"If it makes the application: wsframe run {target} --factory" if is_function else None
    if isinstance(found, ModuleType):
        hint = f"Did you mean {found.__name__}:app?"
    raise StartError(f"{target}: is {what}, not a wsframe App", hint=hint)
