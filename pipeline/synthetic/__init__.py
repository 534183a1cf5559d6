"""The synthetic street: rendered clips of people, with exact joints, track ids and frame labels."""
