"""What a statement reads, binds, changes and may do: the analyses that the slice pass rests on."""
