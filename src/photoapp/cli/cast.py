"""Who is in the demo, and what they say."""

from __future__ import annotations

import random

PEOPLE = (
    ("demo", "Demo"),
    ("maren.lund", "Maren Lund"),
    ("tomasz_k", "Tomasz Kowalczyk"),
    ("amina.d", "Amina Diallo"),
    ("yuki_mori", "Yuki Mori"),
    ("luisa.prado", "Luísa Prado"),
    ("finn_oneill", "Finn O'Neill"),
    ("noor.haddad", "Noor Haddad"),
    ("elias_b", "Elias Berger"),
    ("priya.rao", "Priya Rao"),
    ("mateo_cruz", "Mateo Cruz"),
    ("hanna.virta", "Hanna Virta"),
    ("kofi_mensah", "Kofi Mensah"),
    ("zoe.martin", "Zoé Martin"),
    ("ravi_s", "Ravi Shah"),
    ("ingrid.solberg", "Ingrid Solberg"),
    ("dario_conti", "Dario Conti"),
    ("leila.k", "Leila Karimi"),
    ("owen_price", "Owen Price"),
    ("sofia.nowak", "Sofia Nowak"),
)

BIOS = (
    "Mostly outside.", "Coffee, trains, clouds.", "Film is not dead, it is in my fridge.", "I walk and look.",
    "Sea level and above.", "Left the city, kept the camera.", "Up before the sun.", "Two wheels, one lens.",
)  # fmt: skip

CAPTIONS: dict[str, tuple[str, ...]] = {
    "mountains": (
        "Six layers of blue #mountains #hiking",
        "Worth every step #mountains",
        "The ridge at noon #hiking #nature",
    ),
    "sunset": (
        "Stayed until the last minute #sunset #sea",
        "No filter needed #sunset",
        "And then it was gone #sunset #goldenhour",
    ),
    "forest": (
        "Quiet down here #forest #fog",
        "Six in the morning #forest #nature",
        "You could hear the dew #fog",
    ),
    "sea": (
        "First swim of the year #sea #beach",
        "Nobody else here #beach",
        "Salt on everything #sea #summer",
    ),
    "city": (
        "Somebody is always awake #city #night",
        "From the roof #city #skyline",
        "Lights coming on #skyline",
    ),
    "night": (
        "Twenty seconds of sky #night #stars",
        "Too cold, too beautiful #stars",
        "Our street, from outside #milkyway",
    ),
    "dunes": (
        "Sand in my shoes until Tuesday #desert",
        "Somewhere behind the second dune #desert #nature",
        "Wind did this #sand",
    ),
    "portrait": (
        "Against the light #portrait",
        "Guess who #portrait #backlight",
        "Happy birthday, you #portrait",
    ),
}

ALT_TEXTS = {
    "mountains": "Mountain ridges fading into haze",
    "sunset": "The sun low over the sea",
    "forest": "Spruces in fog",
    "sea": "A beach under a blue sky",
    "city": "Houses with lit windows after sunset",
    "night": "The milky way over a dark ridge",
    "dunes": "Sand dunes in the sun",
    "portrait": "A person as a silhouette against coloured lights",
}

COMMENTS = (
    "Beautiful!", "Where is this?", "I want to be there right now", "That light…", "Wow", "Take me along next time",
    "The colours!", "This one on my wall, please", "Best one yet", "Unreal", "How early did you get up?", "So calm",
)  # fmt: skip

FILTERS = ("Normal", "Normal", "Amaro", "Valencia", "Hudson", "X-Pro II", "Lo-fi")


def person(number: int) -> tuple[str, str]:
    """Username and full name of the person of that number; 0 is ``demo``."""
    username, full_name = PEOPLE[number % len(PEOPLE)]
    round_ = number // len(PEOPLE)
    return (f"{username}{round_ + 1}", full_name) if round_ else (username, full_name)


def caption(dice: random.Random, scene: str) -> str:
    """What somebody writes under a photo of that scene."""
    return dice.choice(CAPTIONS[scene])
