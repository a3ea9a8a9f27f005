"""The flags that say where a stage computes: its device, and the processes that share its work."""

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from mmsrec import gpus

if TYPE_CHECKING:
    import torch


def add_device(arguments: argparse.ArgumentParser) -> None:
    arguments.add_argument("--device", default="auto", help="a torch device; auto is the least used GPU, if any")


def add_processes(arguments: argparse.ArgumentParser, number: Callable[[str], float]) -> None:
    """Adds the flags of several processes.

    Args:
        number: type of a flag that is a whole number from 0.
    """
    text = "processes on this machine that share each step, one for each GPU; 0 is one without a GPU (default: 1)"
    arguments.add_argument("--processes", type=number, default=1, metavar="N", help=text)
    text = "machines that share each step; each runs the same command on the same files (default: 1)"
    arguments.add_argument("--machines", type=number, default=1, metavar="N", help=text)
    text = "one of the machines and a free port of it, where all of them meet (default: this one)"
    arguments.add_argument("--rendezvous", default="127.0.0.1:0", metavar="HOST:PORT", help=text)
    text = "this machine's address for the others (default: the one on the way to --rendezvous)"
    arguments.add_argument("--address", help=text)


def take_gpu(device: str = "auto") -> None:
    """Gives this process one GPU, the least used one, if there is any and no device is named."""
    if device == "auto" and gpus.visible():
        gpus.take(1)


def device(flags: argparse.Namespace) -> "torch.device":
    """The device of this process, which is prepared to compute."""
    from mmsrec.training.launch import is_started
    from mmsrec.training.runtime import start

    if not is_started():
        take_gpu(flags.device)
    return start(flags.device)


def shared(flags: argparse.Namespace) -> bool:
    """Runs this script in the processes that the flags ask for; False if this one is to do the work."""
    from mmsrec.training.launch import Group, is_started, launch

    group = Group(max(1, flags.processes), max(1, flags.machines), flags.rendezvous, flags.address)
    if group.is_one or is_started():
        return False
    launch(group, sys.argv, on_gpus=flags.device == "auto")
    return True
