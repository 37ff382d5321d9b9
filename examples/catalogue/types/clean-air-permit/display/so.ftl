name = Oggolaanshaha hawada nadiifka ah
description = Oggolaansho gaari loogu kaxayn karo aagga hawada nadiifka ah ee magaalo.
source = Xafiiska gaadiidka ee magaalada: keen shahaadada diiwaangelinta gaariga.

claim-zone = Aagga
    .description = Aagga aad gaariga ku kaxayn karto.
claim-registrationNumber = Lambarka taargada
    .description = Lambarka ku qoran taargada gaariga.
claim-emissionClass = Heerka qiiqa
    .description = Sida matoorku u nadiif yahay.

value-emissionClass-electric = Koronto
