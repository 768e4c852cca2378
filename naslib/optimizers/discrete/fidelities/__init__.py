"""What the methods have in common that train many architectures briefly and few for long."""
