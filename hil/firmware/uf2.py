"""Makes a UF2 file, which a Pico's boot loader takes, of the firmware's ELF file: uf2.py ELF UF2"""

import struct
import sys

PAGE = 256
RP2040 = 0xE48BFF56
FLASH = range(0x10000000, 0x11000000)


def pages(elf):
    """What the ELF file loads into flash, in whole pages by their address."""
    if elf[:6] != b"\x7fELF\x01\x01":
        sys.exit("uf2: that is no 32-bit little-endian ELF file")
    offset, = struct.unpack_from("<I", elf, 28)
    size, count = struct.unpack_from("<HH", elf, 42)
    found = {}
    for header in range(offset, offset + size * count, size):
        kind, start, _, address, length = struct.unpack_from("<IIIII", elf, header)
        if kind != 1 or address not in FLASH:
            continue
        for at in range(length):
            page = (address + at) // PAGE * PAGE
            found.setdefault(page, bytearray(PAGE))[(address + at) % PAGE] = elf[start + at]
    return sorted(found.items())


def main(source, target):
    with open(source, "rb") as file:
        found = pages(file.read())
    with open(target, "wb") as file:
        for number, (address, data) in enumerate(found):
            # Flags: the family is named.
            head = struct.pack("<8I", 0x0A324655, 0x9E5D5157, 0x2000, address, PAGE, number, len(found), RP2040)
            file.write(head + bytes(data).ljust(476, b"\0") + struct.pack("<I", 0x0AB16F30))
    print(f"{target}: {len(found) * PAGE} bytes of flash")


if __name__ == "__main__":
    main(*sys.argv[1:])
