"""The methods of chapter 9, one file each, behind one Protocol."""
