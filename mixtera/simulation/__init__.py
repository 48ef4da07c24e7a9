"""Simulation: what a mixing algorithm would do, given losses that were recorded or are modelled. Nothing is trained."""

from mixtera.simulation.components import Component, components_of
from mixtera.simulation.losses import Losses, Modelled, Recorded
from mixtera.simulation.run import Simulation, simulate

__all__ = ["Component", "Losses", "Modelled", "Recorded", "Simulation", "components_of", "simulate"]
